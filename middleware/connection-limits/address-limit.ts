import type { Socket } from 'node:net';
import { customerKey, newId, type HeldSeat, type HeldSeats, type PluginContext } from '../../src/index.ts';
import { tooMany, type ConnectionWindow, type Sharing } from './connection-window.ts';

/** The key of a connection's address, with its seat if all nodes count together. */
type Counted = string | { readonly key: string; readonly seat: HeldSeat };

/**
 * Counts a connection from its upgrade, so that a burst cannot pass the check, until its socket is closed. A client
 * without a known address (over a unix socket) is not counted.
 * @param sharing if all nodes count together
 */
export function limitAddresses(
  context: PluginContext,
  max: number,
  window: ConnectionWindow,
  sharing: (Sharing & { readonly seats: HeldSeats }) | undefined,
) {
  /** Number of connections of each address on this node. The kernel limits the number of open connections. */
  const open = new Map<string, number>();
  const counted = new Map<Socket, Counted>();
  /** Connections that are older than the plugin, by connection id. */
  const earlier = new Map<string, Counted>();
  const seats = max === Infinity ? undefined : sharing?.seats;
  const add = (key: string, member: string | undefined): Counted => {
    open.set(key, (open.get(key) ?? 0) + 1);
    return seats ? { key, seat: seats.add(`address:${key}`, member ?? newId()) } : key;
  };
  const remove = (one: Counted): void => {
    const key = typeof one === 'string' ? one : one.key;
    const count = open.get(key)! - 1;
    if (count > 0) open.set(key, count);
    else open.delete(key);
    if (typeof one !== 'string') seats!.leave(one.seat);
  };
  for (const { id, ip } of context.node.connections.values()) {
    if (ip === '') continue;
    const one = add(customerKey(ip), id);
    if (typeof one !== 'string') seats!.enterLater(one.seat);
    earlier.set(id, one);
  }
  context.on('connection:removed', ({ id }) => {
    const one = earlier.get(id);
    if (one !== undefined && earlier.delete(id)) remove(one);
  });
  // One function for all sockets, so that a connection costs no closure.
  function gone(this: Socket): void {
    const one = counted.get(this);
    if (one !== undefined && counted.delete(this)) remove(one);
  }
  /** Counts an upgrade on all nodes. @throws TOO_MANY_CONNECTIONS */
  const admit = async (socket: Socket, key: string, one: Counted, shared: Sharing): Promise<void> => {
    try {
      const outcome = typeof one === 'string' ? 'entered' : await seats!.enter(one.seat, max);
      const isOverShare = outcome === 'later' && (open.get(key) ?? 0) > shared.share.of(max);
      if (outcome === 'full' || isOverShare) throw tooMany('address', max);
      await window.takeShared(key, shared);
    } catch (error) {
      // A refused upgrade does not count.
      gone.call(socket);
      throw error;
    }
  };
  context.use({
    type: 'upgrade',
    name: 'connection-limits',
    handler({ socket }, { ip }): void | Promise<void> {
      if (ip === '') return undefined;
      const key = customerKey(ip);
      if ((open.get(key) ?? 0) >= max) throw tooMany('address', max);
      if (!sharing) window.take(key);
      const one = add(key, undefined);
      counted.set(socket, one);
      socket.on('close', gone);
      return sharing && admit(socket, key, one, sharing);
    },
  });
  context.onUnload(() => counted.forEach((_, socket) => socket.off('close', gone)));
  return { open, window };
}
