import { expect } from 'chai';
import type { Connection, ModuleError } from '../../../index.ts';
import type { Namespace } from '../../../plugins/namespaces.ts';
import { eventually } from '../../support/timing.ts';
import { entered, serve } from './entering.ts';

/** Two members of `/chat`, the first of them in its lobby. */
async function inTheLobby() {
  const started = await serve();
  const chat = started.manager.of('/chat', { maxRooms: 3 });
  const [ann, bob] = [await entered(await started.connect(), '/chat'), await entered(await started.connect(), '/chat')];
  const [first, second] = [...chat.connections.values()] as [Connection, Connection];
  chat.join(first, 'lobby');
  return { ...started, chat, ann, bob, first, second };
}

const names = ({ rooms }: Namespace) => [...rooms].map(([room, members]) => `${room}: ${members.size}`);

describe('the rooms of all namespaces', () => {
  it('are limited for the connections of one client and for all clients, and do not count after they are left', async () => {
    const { manager, connect } = await serve({ maxRoomsPerClient: 3, maxRoomsInAll: 4 }, { trustProxy: ['127.0.0.1'] });
    const [chat, game] = [manager.of('/chat'), manager.of('/game')];
    const from = (ip: string) => connect({ headers: { 'x-forwarded-for': ip } });
    const clients = [await from('10.0.0.1'), await from('10.0.0.1'), await from('10.0.0.2')];
    for (const client of clients) await entered(client, '/chat', '/game');
    const [first, second, other] = [...chat.connections.values()] as [Connection, Connection, Connection];
    const refusal = (namespace: Namespace, connection: Connection, room: string): unknown => {
      try {
        namespace.join(connection, room);
        return undefined;
      } catch (error) {
        const { code, details } = error as ModuleError;
        return [code, details['of'], details['limit']];
      }
    };

    for (const room of ['a', 'a', 'b']) expect(refusal(chat, first, room)).to.equal(undefined);
    expect(refusal(game, second, 'a')).to.equal(undefined);
    expect(refusal(game, second, 'b')).to.deep.equal(['TOO_MANY_ROOMS', 'client', 3]);
    expect(refusal(game, other, 'a')).to.equal(undefined);
    expect(refusal(game, other, 'b')).to.deep.equal(['TOO_MANY_ROOMS', 'server', 4]);
    chat.leave(first, 'a');
    expect(refusal(game, other, 'b')).to.equal(undefined);
    await clients[2]!.terminate();
    await eventually('it to leave', () => chat.connections.size === 2);
    expect(refusal(game, second, 'b')).to.equal(undefined);
  });
});

describe('the rooms of a namespace', () => {
  it('are reached by name, each separately', async () => {
    const { manager, chat, ann, bob, first, second } = await inTheLobby();
    const game = manager.of('/game');
    await entered(bob, '/game');
    game.join(second, 'lobby');

    expect(chat.to('lobby').publish({ type: 'news', content: 1 })).to.equal(1);
    expect(chat.to('lobby').publish({ type: 'news', content: 2 }, { except: first.id })).to.equal(0);
    expect(chat.to('empty').publish({ type: 'news' })).to.equal(0);
    expect(game.to('lobby').publish({ type: 'news', content: 3 })).to.equal(1);

    expect(await ann.next('news')).to.deep.include({ content: 1, namespace: '/chat' });
    expect(await bob.next('news')).to.deep.include({ content: 3, namespace: '/game' });
  });

  it('exist while a connection is in them', async () => {
    const { manager, chat, ann, first, second } = await inTheLobby();
    chat.join(first, 'lobby');
    chat.join(second, 'lobby');
    chat.join(second, 'den');
    expect(names(chat)).to.deep.equal(['lobby: 2', 'den: 1']);
    expect([...chat.roomsOf(second)]).to.deep.equal(['lobby', 'den']);

    chat.leave(second, 'lobby');
    chat.leave(second, 'lobby');
    chat.leave(second, 'nowhere');
    expect(names(chat)).to.deep.equal(['lobby: 1', 'den: 1']);
    chat.disconnect(second);
    expect(names(chat)).to.deep.equal(['lobby: 1']);
    await ann.terminate();
    await eventually('it is gone', () => manager.connections.size === 1);

    expect(names(chat)).to.deep.equal([]);
    expect([chat.roomsOf(first).size, chat.roomsOf(second).size]).to.deep.equal([0, 0]);
    expect(manager.inspect()['topics']).to.equal(0);
  });

  it('are for members only, with names of limited length and a limited number', async () => {
    const { manager, chat, first, second } = await inTheLobby();
    const attempt = (connection: Connection, room: unknown) => () => chat.join(connection, room as string);

    for (const room of ['', 'x'.repeat(10_240), 1, undefined, {}]) expect(attempt(first, room)).to.throw().with.property('code', 'ROOM_INVALID');
    for (const room of ['__proto__', 'constructor']) chat.join(first, room);
    expect(attempt(first, 'one more')).to.throw().with.property('code', 'TOO_MANY_ROOMS');
    chat.join(first, 'lobby');
    chat.disconnect(second);
    expect(attempt(second, 'lobby')).to.throw().with.property('code', 'NAMESPACE_NOT_JOINED');

    expect(names(chat)).to.deep.equal(['lobby: 1', '__proto__: 1', 'constructor: 1']);
    await manager.unload('namespaces');
    expect(attempt(first, 'lobby')).to.throw().with.property('code', 'NAMESPACE_NOT_JOINED');
    expect(manager.inspect()['topics']).to.equal(0);
  });
});
