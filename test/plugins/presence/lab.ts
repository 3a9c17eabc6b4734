import { expect } from 'chai';
import { useFakeTimers, type SinonFakeTimers } from 'sinon';
import { definePlugin, type ConnectionLayer } from '../../../index.ts';
import { presence, type PresenceOptions } from '../../../plugins/presence.ts';
import { rooms, type RoomInit, type RoomsOptions } from '../../../plugins/rooms.ts';
import { cleanup } from '../../support/cleanup.ts';
import type { Client, Received } from '../../support/client.ts';
import { start, type Manager, type StartOptions } from '../../support/start.ts';
import { eventually } from '../../support/timing.ts';

export const QUIET = { logger: { debug() {}, info() {}, warn() {}, error() {} }, heartbeat: false } as const;

/** `?user=anna` in the URL makes the client anna. */
export const byName: ConnectionLayer = {
  type: 'connection',
  name: 'by-name',
  handler(_, { url }) {
    const id = new URL(url, 'ws://x').searchParams.get('user');
    return id ? { user: { id, username: id.toUpperCase(), secret: 'x' } } : undefined;
  },
};

/** A client that sends `i-am` is anna from then on, with the name that it gives. */
export const iAm = definePlugin({
  name: 'i-am',
  setup(context) {
    context.registerHandler('i-am', ({ content }, connection) => {
      context.node.identify(connection, { id: 'anna', username: content });
      return 'welcome';
    });
  },
});

/** Rounds, grace periods and typing go by the test's clock. */
function frozen(): SinonFakeTimers {
  const clock = useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance', 'Date'], now: Date.now() });
  cleanup(() => clock.restore());
  return clock;
}

export interface Person extends Client { readonly id: string }

export async function watched(options?: PresenceOptions, more: StartOptions = {}, roomsOptions: RoomsOptions = {}) {
  const clock = frozen();
  const started = await start({ ...QUIET, ...more, use: [byName, rooms(roomsOptions), presence(options), ...more.use ?? []] });
  const { manager, connect } = started;
  const api = manager.api('rooms');
  const errors: Error[] = [];
  manager.on('error', (error) => errors.push(error));
  cleanup(() => expect(errors).to.deep.equal([]));
  return {
    ...started, clock, errors,
    presence: manager.api('presence'),
    create: (name: string, init?: RoomInit) => api.create(name, init),
    join: ({ id }: Person, roomId: string) => api.join(id, roomId),
    leave: ({ id }: Person, roomId: string) => api.leave(id, roomId),
    say: (content: string, roomId: string, from?: Person) => api.send(roomId, content, from && { connectionId: from.id }),
    round: () => clock.tickAsync(1_000),
    /** A client of a user's, in the rooms that are named. */
    as: async (user: string, ...roomIds: string[]): Promise<Person> => {
      const client = await connect({ search: user && `?user=${encodeURIComponent(user)}` });
      const { content } = await client.request({ type: 'init' });
      const id = content.connectionId as string;
      for (const roomId of roomIds) await api.join(id, roomId);
      return Object.assign(client, { id });
    },
  };
}

export async function gone(manager: Manager, ...clients: Person[]): Promise<void> {
  await Promise.all(clients.map((client) => client.terminate()));
  await eventually('them to be gone', () => clients.every(({ id }) => !manager.connections.has(id)));
}

export const codeOf = ({ content }: Received): string => content.code as string;
export const metrics = (manager: Manager) => manager.getMetrics().plugins['presence']! as Record<string, number>;
/** Resolves when the client has received everything that was sent to it before. */
export const caughtUp = (client: Client) => client.request({ type: 'ping' });

const SIGNS: Readonly<Record<string, string>> = { 'user-online': '+', 'user-offline': '-', 'user-updated': '~' };

/** The users that a client was told of: `+anna` online, `-ben` offline, `~anna` updated. */
export async function heard(client: Client): Promise<string[]> {
  await caughtUp(client);
  return client.messages.flatMap(({ type, content }) => {
    const sign = SIGNS[type];
    return sign ? (content.users as { userId: string }[]).map(({ userId }) => sign + userId) : [];
  });
}

/** The typing that a client was told of: `anna…`, and `anna.` when it ended. */
export async function typists(client: Client): Promise<string[]> {
  await caughtUp(client);
  return client.messages.filter(({ type }) => type === 'user-typing').map(({ content }) => `${content.userId}${content.isTyping ? '…' : '.'}`);
}
