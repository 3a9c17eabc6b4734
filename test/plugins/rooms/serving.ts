import { rooms, type RoomsApi, type RoomsOptions } from '../../../plugins/rooms.ts';
import type { Connection, Usable } from '../../../index.ts';
import type { Client, Received } from '../../support/client.ts';
import { start, type Manager, type StartOptions } from '../../support/start.ts';

/** Clients name their user in the query. */
const byName: Usable = {
  type: 'connection',
  name: 'by-name',
  handler(_ws, { url }) {
    const id = new URL(url, 'ws://host').searchParams.get('user');
    return id ? { user: { id, username: id.toUpperCase() } } : undefined;
  },
};

/** A client with its connection on the server. */
export interface Guest {
  readonly client: Client;
  readonly connection: Connection;
  readonly id: string;
  /** Sends a message and resolves to the reply. */
  readonly ask: (type: string, content?: unknown, beside?: Record<string, unknown>) => Promise<Received>;
  /** The same, resolving to the code of the error. */
  readonly refused: (type: string, content?: unknown, beside?: Record<string, unknown>) => Promise<string>;
}

export interface Serving {
  readonly manager: Manager;
  readonly api: RoomsApi;
  /** The events of rooms so far, as `joined lobby alice`. */
  readonly events: string[];
  /** The errors of the `error` event. */
  readonly errors: Error[];
  /** Connects a client, as a user or anonymously. */
  readonly guest: (user?: string) => Promise<Guest>;
  /** Connects clients of these users, and lets them join the room. */
  readonly members: <const Names extends readonly string[]>(
    roomId: string,
    ...names: Names
  ) => Promise<{ [K in keyof Names]: Guest }>;
}

export async function serve(options: RoomsOptions = {}, more: StartOptions = {}): Promise<Serving> {
  const { manager, connect } = await start({ ...more, use: [byName, rooms(options), ...more.use ?? []] });
  const api = manager.api('rooms');
  const events: string[] = [];
  const errors: Error[] = [];
  manager.on('room:created', ({ room }) => { events.push(`created ${room.id}`); });
  manager.on('room:deleted', ({ room }) => { events.push(`deleted ${room.id}`); });
  manager.on('room:joined', ({ room, userId }) => { events.push(`joined ${room.id} ${userId}`); });
  manager.on('room:left', ({ room, userId }) => { events.push(`left ${room.id} ${userId}`); });
  manager.on('error', (error) => { errors.push(error); });

  const guest = async (user?: string): Promise<Guest> => {
    const client = await connect(user === undefined ? {} : { search: `?user=${user}` });
    const { content: { connectionId } } = await client.request({ type: 'who' });
    const connection = manager.connections.get(connectionId as string)!;
    const ask: Guest['ask'] = (type, content, beside) =>
      client.request({ type, ...(content !== undefined && { content }), ...beside });
    return {
      client,
      connection,
      id: connection.id,
      ask,
      refused: async (...message) => (await ask(...message)).content.code as string,
    };
  };
  manager.registerHandler('who', (_message, { id }) => ({ connectionId: id }));
  return {
    manager, api, events, errors, guest,
    async members(roomId, ...names) {
      if (!api.get(roomId)) await api.create(roomId);
      const guests: Guest[] = [];
      for (const name of names) {
        const one = await guest(name);
        await api.join(one.id, roomId);
        guests.push(one);
      }
      return guests as { [K in keyof typeof names]: Guest };
    },
  };
}

/** The code that a promise rejects with, or its value. */
export async function code(work: Promise<unknown>): Promise<unknown> {
  try {
    return { resolved: await work };
  } catch (error) {
    return (error as { code?: string }).code ?? error;
  }
}

/** The messages of this type that a client has got, all that were sent before this call among them. */
export async function received({ client, ask }: Guest, type: string): Promise<Received[]> {
  await ask('who');
  return client.messages.filter((message) => message.type === type);
}
