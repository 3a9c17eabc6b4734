import { expect } from 'chai';
import type { Connection } from '../../../index.ts';
import type { Namespace } from '../../../plugins/namespaces.ts';
import { eventually } from '../../support/timing.ts';
import { entered, serve } from './entering.ts';

/** Two who are in `/chat`, the first of them in its lobby. */
async function inTheLobby() {
  const started = await serve();
  const chat = started.manager.of('/chat', { maxRooms: 3 });
  const [ann, bob] = [await entered(await started.connect(), '/chat'), await entered(await started.connect(), '/chat')];
  const [first, second] = [...chat.connections.values()] as [Connection, Connection];
  chat.join(first, 'lobby');
  return { ...started, chat, ann, bob, first, second };
}

const names = ({ rooms }: Namespace) => [...rooms].map(([room, members]) => `${room}: ${members.size}`);

describe('the rooms of a namespace', () => {
  it('are reached by name, each on its own', async () => {
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

  it('are there while somebody is in them', async () => {
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

  it('are for members only, by names of a bounded length, and no more than so many', async () => {
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
