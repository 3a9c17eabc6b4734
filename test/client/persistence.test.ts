import { expect } from 'chai';
import type { WebSocketClient } from '../../client/index.ts';
import { persistence, type PersistenceOptions } from '../../client/offline.ts';
import { history } from '../../plugins/history.ts';
import { recovery } from '../../plugins/recovery.ts';
import { rooms } from '../../plugins/rooms.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';
import { clientOf } from './around.ts';
import { fakeBrowser } from './tabs.ts';

const login = {
  type: 'connection' as const, name: 'login',
  handler: (_: unknown, { url }: { url: string }) => {
    const user = new URL(url, 'http://x').searchParams.get('user');
    return user === null ? {} : { user: { id: user } };
  },
};

async function serve() {
  const plugins = [rooms({ echo: true }), history({ topics: { news: {} }, canRead: () => true }), recovery()];
  const { manager, port } = await start({ use: [login, ...plugins] });
  const owner = await manager.api('rooms').create('lobby', { password: 'secret' });
  const page = (options: PersistenceOptions = {}, user = 'ada') => {
    const client = clientOf({ url: `ws://127.0.0.1:${port}/ws?user=${user}`, state: { user, persistence: persistence(options) } });
    const news: unknown[] = [];
    const errors: string[] = [];
    client.on('news', (content) => void news.push(content));
    client.on('error', ({ code }) => void errors.push(code));
    return { client, news, errors };
  };
  const say = (content: unknown) => manager.api('history').append('news', { type: 'news', content });
  const resumed: string[] = [];
  manager.on('recovery:resumed', ({ connection }) => void resumed.push(connection.user!.id));
  return { manager, page, say, resumed, owner };
}

/** Does what a browser does when a page is left: the events, and then nothing of the page runs any more. */
function leavePage(): void {
  for (const listener of listeners.get('pagehide') ?? []) listener();
  listeners.clear();
}

const listeners = new Map<string, Set<() => void>>();
const events = {
  addEventListener: (type: string, listener: () => void) => { listeners.set(type, (listeners.get(type) ?? new Set()).add(listener)); },
  removeEventListener: (type: string, listener: () => void) => { listeners.get(type)?.delete(listener); },
};

const visited = (changes: object = {}) => {
  listeners.clear();
  return fakeBrowser({ ...events, ...changes });
};

const joined = (client: WebSocketClient) => client.rooms.join('lobby', { password: 'secret' });

describe('persistence', () => {
  for (const storage of ['sessionStorage', 'localStorage', 'memory'] as const) {
    it(`lets a page that was reloaded go on where it was, with ${storage}`, async () => {
      visited();
      const { page, say, resumed, manager } = await serve();
      const before = page({ storage });
      await before.client.connect();
      await before.client.subscribe('news');
      await joined(before.client);
      await say(1);
      await eventually('the first message', () => before.news.length === 1);

      leavePage();
      await eventually('the page is gone', () => manager.connections.size === 0);
      await say(2);
      const after = page({ storage });
      await after.client.connect();
      await eventually('the missed message', () => after.news.length === 1);

      expect([before.news, after.news, resumed]).to.deep.equal([[1], [2], ['ada']]);
      expect(after.client.rooms.joined).to.deep.equal(['lobby']);
      expect(after.client.position('news')).to.include({ offset: 2 });
    });
  }

  it('stores a position when the listeners have returned, and no password', async () => {
    const { sessionStorage } = visited();
    const { page, say } = await serve();
    const one = page({ sync: { interval: 5 } });
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => { release = resolve; });
    one.client.on('news', () => released);
    await one.client.connect();
    await one.client.subscribe('news');
    await joined(one.client);
    const offset = (): number | undefined => {
      const [text] = [...sessionStorage.items.values()];
      return (JSON.parse(text!) as { positions: { topic: string; offset: number }[] }).positions.find(({ topic }) => topic === 'news')?.offset;
    };

    await say(1);
    await eventually('the room is stored', () => [...sessionStorage.items.values()].some((text) => text.includes('"lobby"')));
    await eventually('the message came', () => one.news.length === 1);
    const during = offset();
    release();
    await eventually('the position is stored', () => offset() === 1);

    expect(during).to.equal(0);
    expect([...sessionStorage.items.values()].join('')).not.to.include('secret');
  });

  it('gives a duplicated tab a session of its own', async () => {
    visited();
    const { page, resumed, manager } = await serve();
    const [one, copy] = [page(), page()];
    await one.client.connect();
    await copy.client.connect();

    expect([resumed, manager.connections.size]).to.deep.equal([[], 2]);
    expect(one.client.isConnected).to.equal(true);
  });

  it('begins a new session where there are no locks, and keeps the subscriptions', async () => {
    visited({ navigator: {} });
    const { page, say, resumed, manager } = await serve();
    const before = page();
    await before.client.connect();
    await before.client.subscribe('news');

    leavePage();
    await eventually('the page is gone', () => manager.connections.size === 0);
    await say(1);
    const after = page();
    await after.client.connect();
    await eventually('the missed message', () => after.news.length === 1);

    expect(resumed).to.deep.equal([]);
  });

  it('gives another user nothing, and ends with disconnect()', async () => {
    const { sessionStorage } = visited();
    const { page, resumed, manager } = await serve();
    const ada = page();
    await ada.client.connect();
    await ada.client.subscribe('news');
    leavePage();
    await eventually('the page is gone', () => manager.connections.size === 0);
    const bob = page({}, 'bob');
    await bob.client.connect();
    const size = sessionStorage.length;

    await bob.client.disconnect();

    expect([resumed, bob.client.position('news'), size, sessionStorage.length]).to.deep.equal([[], undefined, 2, 1]);
  });

  it('goes on in memory, and says so once, if the storage is full or forbidden', async () => {
    const { sessionStorage } = visited();
    sessionStorage.isFull = true;
    const { page } = await serve();
    const one = page({ sync: { interval: 1 } });
    await one.client.connect();
    await one.client.subscribe('news');
    Object.defineProperty(globalThis, 'localStorage', { configurable: true, get: () => { throw new Error('SecurityError'); } });
    const other = page({ storage: 'localStorage' });
    await other.client.connect();
    await eventually('both errors', () => one.errors.length + other.errors.length === 2);

    expect([one.errors, other.errors]).to.deep.equal([['STORAGE_FAILED'], ['STORAGE_FAILED']]);
    expect(one.client.isConnected && other.client.isConnected).to.equal(true);
  });

  it('drops what is no state', async () => {
    const { sessionStorage } = visited();
    const { page, resumed, manager } = await serve();
    const before = page();
    await before.client.connect();
    leavePage();
    await eventually('the page is gone', () => manager.connections.size === 0);
    const [[name, text] = ['', '']] = sessionStorage.items;
    const state = JSON.parse(text) as object;
    const nonsense = [
      '', '{', 'null', '[]', { ...state, version: 2 }, { ...state, at: 'now' }, { ...state, sessionId: 5 }, { ...state, rooms: [1] },
      { ...state, topics: {} }, { ...state, positions: [{ topic: 'news', epoch: 'e', offset: -1, id: '' }] },
      { ...state, positions: new Array(501).fill({ topic: 'news', epoch: 'e', offset: 1, id: '' }) },
    ];
    sessionStorage.items.clear();
    for (const [index, one] of nonsense.entries()) sessionStorage.items.set(`${name}${index}`, typeof one === 'string' ? one : JSON.stringify(one));

    const after = page();
    await after.client.connect();

    expect([resumed, sessionStorage.length, after.errors]).to.deep.equal([[], 1, []]);
  });

  it('names every option that is wrong', () => {
    expect(() => persistence({ storage: 'cookie', sync: { interval: 0, conflictResolution: 'client-wins' } } as never)).to.throw(
      TypeError, 'persistence: storage: it must be one of localStorage, sessionStorage, memory; sync.interval: it must be a number above 0; '
      + 'sync.conflictResolution: it must be one of server-wins');
  });
});
