import { ModuleError, toError } from '../../src/index.ts';
import { gather, reachable, type Selection } from './broadcast.ts';
import { toText, type AskCall, type Call, type CallTarget, type RaiseCall } from './event-calls.ts';
import type { Socket } from './event-contracts.ts';
import { callAll } from './event-listeners.ts';
import type { EventMembers } from './event-members.ts';
import type { EventSocket } from './event-socket.ts';
import { toFields } from './event-wire.ts';

/**
 * Handles a call of another node. Events are delivered before it returns, so that they keep the order of the bus.
 * @param members the namespace, if it exists on this node
 */
export function answerCall(members: EventMembers | undefined, call: Call): unknown {
  if (call.do === 'raise') return raise(members, call);
  if (!members) return call.do === 'ask' ? gone(call) : call.do === 'gather' ? { answers: [], missing: [] } : [];
  switch (call.do) {
    case 'emit': {
      const { id, timestamp, event, args, to } = call;
      const message = { id, type: event, timestamp, ...members.fields, ...toFields(args) };
      if (to.socket === undefined) members.deliver(message, selectionOf(to));
      else members.deliverTo(to.socket, message);
      return undefined;
    }
    case 'join': return each(members, call.to, (socket) => socket.join(call.rooms));
    case 'leave': return each(members, call.to, (socket) => { for (const room of call.rooms) socket.leave(room); });
    case 'disconnect': return each(members, call.to, (socket) => socket.disconnect(call.close));
    case 'fetch': return selected(members, call.to).map(describeSocket);
    case 'gather': {
      return gather(members, reachable(selected(members, call.to)), call.event, call.args, call.timeout);
    }
    case 'ask': {
      const [socket] = selected(members, call.to);
      return socket ? members.ask(socket, call.event, call.args, call.timeout) : gone(call);
    }
  }
}

function gone({ to: { socket = '' } }: AskCall): never {
  throw new ModuleError('CONNECTION_CLOSED', { connection: socket });
}

const selectionOf = ({ rooms, except }: CallTarget): Selection =>
  ({ rooms: rooms && new Set(rooms), except: new Set(except) });

function selected(members: EventMembers, to: CallTarget): readonly EventSocket[] {
  return to.socket === undefined ? members.select(selectionOf(to)) : members.socket(to.socket);
}

/** Reports the failure of one socket, and continues with the others. */
function each(members: EventMembers, to: CallTarget, act: (socket: Socket) => unknown): undefined {
  for (const socket of selected(members, to)) {
    try {
      act(socket);
    } catch (error) {
      members.report(error, socket.connection);
    }
  }
}

function describeSocket({ id, rooms, data, handshake }: Socket): unknown {
  return { id, rooms: [...rooms], data: toText(data, `"data" of socket ${id}`), handshake };
}

/** Calls the listeners of the namespace. If none acknowledges, asynchronous ones answer with nothing when they end. */
async function raise(members: EventMembers | undefined, { event, args, isAsked }: RaiseCall): Promise<unknown> {
  const listeners = members?.listeners.take(event) ?? [];
  if (!members || listeners.length === 0) {
    if (isAsked) throw new ModuleError('UNKNOWN_TYPE', { type: event });
    return undefined;
  }
  return new Promise((resolve, reject) => {
    const write = (value?: unknown): { readonly value: string | undefined } =>
      ({ value: toText(value, `the answer to "${event}"`) });
    const acknowledge = (value?: unknown): void => {
      try {
        resolve(write(value));
      } catch (error) {
        reject(toError(error));
      }
    };
    const finish = (failures: readonly unknown[], isDone: boolean): void => {
      for (const failure of failures) members.report(failure);
      if (isAsked && failures.length > 0) reject(new ModuleError('INTERNAL_ERROR'));
      else if (isAsked && isDone) resolve(write());
      else if (!isAsked) resolve(undefined);
    };
    const failures = callAll(members.namespace, [listeners, isAsked ? [...args, acknowledge] : args]);
    if (failures instanceof Promise) void failures.then((late) => finish(late, true));
    else finish(failures, false);
  });
}
