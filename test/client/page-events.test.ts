import { expect } from 'chai';
import { cleanup } from '../support/cleanup.ts';
import { connected, fakeClient, settled } from './around.ts';

interface Page {
  readonly window: Counted;
  readonly document: Counted & { visibilityState: string };
  readonly navigator: { onLine: boolean; connection: Counted };
  /** Listeners that are not removed. */
  readonly listeners: number;
}

class Counted extends EventTarget {
  count = 0;
  override addEventListener(...args: Parameters<EventTarget['addEventListener']>): void {
    this.count++;
    super.addEventListener(...args);
  }

  override removeEventListener(...args: Parameters<EventTarget['removeEventListener']>): void {
    this.count--;
    super.removeEventListener(...args);
  }
}

/** The globals of a page, until the test is over. */
function fakePage(): Page {
  const [window, document] = [new Counted(), Object.assign(new Counted(), { visibilityState: 'visible' })];
  const navigator = { onLine: true, connection: new Counted() };
  const globals = {
    addEventListener: window.addEventListener.bind(window), removeEventListener: window.removeEventListener.bind(window), document, navigator,
  };
  for (const [name, value] of Object.entries(globals)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    cleanup(() => before ? Object.defineProperty(globalThis, name, before) : Reflect.deleteProperty(globalThis, name));
  }
  return {
    window, document, navigator,
    get listeners() { return window.count + document.count + navigator.connection.count; },
  };
}

const fire = (target: EventTarget, type: string): unknown => target.dispatchEvent(new Event(type));

describe('a client in a page', () => {
  it('listens to the network from connect() to disconnect() only', async () => {
    const page = fakePage();
    const { client } = fakeClient();
    const counts = [page.listeners];

    for (let round = 0; round < 3; round++) {
      void client.connect();
      counts.push(page.listeners);
      await client.disconnect();
      counts.push(page.listeners);
    }

    expect(counts).to.deep.equal([0, 7, 0, 7, 0, 7, 0]);
  });

  it('does not listen any more after a final failure', async () => {
    const page = fakePage();
    const { socket } = await connected();

    socket.end(4010);
    await settled();

    expect(page.listeners).to.equal(0);
  });

  it('makes no attempt while the device is offline, and one at once when it is back', async () => {
    const page = fakePage();
    const { client, network, socket } = await connected();

    page.navigator.onLine = false;
    socket.end();
    await settled();
    const during = client.getState();
    page.navigator.onLine = true;
    fire(page.window, 'online');

    expect(during).to.include({ phase: 'offline', status: 'disconnected', reconnectAttempts: 0 });
    expect(network.sockets).to.have.length(2);
  });

  it('gives up an opening connection when the device goes offline, and starts over', async () => {
    const page = fakePage();
    const { client, network } = fakeClient();
    const done = client.connect();

    page.navigator.onLine = false;
    fire(page.window, 'offline');
    const aborted = network.last.closedWith;
    network.last.open();
    page.navigator.onLine = true;
    fire(page.window, 'online');
    network.last.open();
    await done;

    expect(aborted).to.equal(1000);
    expect(network.sockets).to.have.length(2);
  });

  it('checks an open connection when the device goes offline, rather than dropping it', async () => {
    const page = fakePage();
    const { client, socket } = await connected();

    fire(page.window, 'offline');
    const during = client.phase;
    await settled();

    expect(during).to.equal('probing');
    expect(client.phase).to.equal('connected');
    expect(socket.closedWith).to.equal(undefined);
  });

  const checks: readonly (readonly [what: string, fire: (page: Page) => unknown])[] = [
    ['the network changed', ({ navigator }) => fire(navigator.connection, 'change')],
    ['the page is visible', ({ document }) => fire(document, 'visibilitychange')],
    ['the page was resumed', ({ document }) => fire(document, 'resume')],
    ['the network is back', ({ window }) => fire(window, 'online')],
  ];
  for (const [what, happens] of checks) {
    it(`checks its connection when ${what}`, async () => {
      const page = fakePage();
      const { client } = await connected();

      happens(page);
      await settled();

      expect(client.explain().map(({ why }) => why)).to.include(what);
      expect(client.phase).to.equal('connected');
    });
  }

  it('makes no attempt while it is hidden, and one at once when it is visible', async () => {
    const page = fakePage();
    const { client, network, socket } = await connected();
    const again = await connected({ reconnect: { whileHidden: true } });

    page.document.visibilityState = 'hidden';
    socket.end();
    again.socket.end();
    await settled();
    const during = [client.phase, again.client.phase];
    page.document.visibilityState = 'visible';
    fire(page.document, 'visibilitychange');

    expect(during).to.deep.equal(['offline', 'waiting']);
    expect(network.sockets).to.have.length(2);
  });

  it('wakes after maxAttempts when the network is back', async () => {
    const page = fakePage();
    const { client, network, socket } = await connected({ reconnect: { maxAttempts: 0 } });
    socket.end();
    await settled();
    const resting = client.phase;

    fire(page.window, 'online');

    expect(resting).to.equal('failed');
    expect(network.sockets).to.have.length(2);
  });

  it('leaves the server alone as long as it asked for, whatever the page does', async () => {
    const page = fakePage();
    const { client, network, socket } = await connected();

    socket.end(4200, 'retry=60000');
    await settled();
    fire(page.window, 'online');
    fire(page.document, 'visibilitychange');

    expect(network.sockets).to.have.length(1);
    expect(client.getState().nextAttempt!.getTime()).to.be.within(Date.now() + 50_000, Date.now() + 61_000);
  });

  it('closes when the page is left, so that it can come back from the cache, and then connects', async () => {
    const page = fakePage();
    const { client, network, socket } = await connected();
    const sent = client.send({ type: 'note' });

    fire(page.window, 'pagehide');
    const during = [socket.closedWith, client.phase];
    fire(page.window, 'pageshow');
    network.last.open();
    await settled();
    network.last.receive({ type: 'ack', replyTo: network.last.messages[0]!['id'] });
    await sent;

    expect(during).to.deep.equal([1000, 'offline']);
    expect(client.isConnected).to.equal(true);
  });
});
