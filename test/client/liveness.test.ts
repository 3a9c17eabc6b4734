import { expect } from 'chai';
import sinon from 'sinon';
import { cleanup } from '../support/cleanup.ts';
import { faultProxy } from '../support/fault-proxy.ts';
import { start } from '../support/start.ts';
import { clientOf, connected, next, phase, settled } from './around.ts';

function fakeTime(): sinon.SinonFakeTimers {
  const clock = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
  cleanup(() => clock.restore());
  return clock;
}

const heartbeat = { interval: 1_000, timeout: 500 };
const pings = (socket: { sent: readonly { type?: string }[] }): number => socket.sent.filter(({ type }) => type === 'ping').length;

describe('a client that hears nothing', () => {
  it('sends a ping after the interval, and stays connected if anything comes', async () => {
    const clock = fakeTime();
    const { client, socket } = await connected({ heartbeat });
    socket.answersPings = false;

    await clock.tickAsync(1_000);
    const during = client.phase;
    socket.receive({ type: 'news' });
    await settled();

    expect(during).to.equal('probing');
    expect(client.phase).to.equal('connected');
    expect(pings(socket)).to.equal(2);
  });

  it('does not count what it sends itself as life', async () => {
    const clock = fakeTime();
    const { client, socket } = await connected({ heartbeat });
    socket.answersPings = false;

    for (let step = 0; step < 10; step++) {
      void client.send({ type: 'typing' }, { ack: false });
      await clock.tickAsync(100);
    }

    expect(client.phase).to.equal('probing');
  });

  it('sends no ping while messages come', async () => {
    const clock = fakeTime();
    const { socket } = await connected({ heartbeat });

    for (let step = 0; step < 50; step++) {
      socket.receive({ type: 'news' });
      await clock.tickAsync(100);
    }

    expect(pings(socket)).to.equal(1);
  });

  it('reconnects without the server\'s consent if no answer comes', async () => {
    const clock = fakeTime();
    const { client, network, socket } = await connected({ heartbeat, reconnect: { initialDelay: 10, jitter: 0 } });
    const closed: unknown[] = [];
    client.on('close', (...args) => closed.push(args));
    socket.answersPings = false;

    await clock.tickAsync(1_500 + 1 + 10);

    expect(closed).to.deep.equal([[1006, '']]);
    expect(network.sockets).to.have.length(2);
  });

  it('processes what the socket received while the device slept, before it judges', async () => {
    const clock = fakeTime();
    const { client, socket } = await connected({ heartbeat });
    socket.answersPings = false;
    await clock.tickAsync(1_000);

    // The device sleeps for an hour: the timer is far too late, and the answer comes after it.
    clock.setSystemTime(Date.now() + 3_600_000);
    await clock.tickAsync(500);
    const afterSleep = client.phase;
    socket.receive({ type: 'pong' });
    await settled();

    expect(afterSleep).to.equal('probing');
    expect(client.phase).to.equal('connected');
    expect(socket.closedWith).to.equal(undefined);
  });

  it('gives a sleeping device one more deadline, not many', async () => {
    const clock = fakeTime();
    const { client, socket } = await connected({ heartbeat });
    socket.answersPings = false;
    await clock.tickAsync(1_000);

    clock.setSystemTime(Date.now() + 3_600_000);
    await clock.tickAsync(500);
    clock.setSystemTime(Date.now() + 3_600_000);
    await clock.tickAsync(2_001);

    expect(client.phase).to.equal('waiting');
  });

  it('probes when the interval ended far too late', async () => {
    const clock = fakeTime();
    const { client } = await connected({ heartbeat });
    const whys = (): string[] => client.explain().map(({ why }) => why);

    clock.setSystemTime(Date.now() + 3_600_000);
    await clock.tickAsync(1_000);

    expect(whys()).to.include('the device slept');
    expect(client.phase).to.equal('connected');
  });

  it('leaves a server alone that does not answer pings, if the heartbeat is off', async () => {
    const clock = fakeTime();
    const { client, socket } = await connected({ heartbeat: { enabled: false } });

    await clock.tickAsync(3_600_000);

    expect(client.isConnected).to.equal(true);
    expect(socket.sent).to.deep.equal([]);
  });

  it('uses the messages of the configuration for ping and pong', async () => {
    fakeTime();
    const { network, client } = await connected({ heartbeat: { pingMessage: { type: 'heartbeat' }, pongMessage: { type: 'alive' } } }, (socket) => {
      socket.receive({ type: 'alive' });
    });

    expect(network.last.sent.map(({ type }) => type as string)).to.deep.equal(['heartbeat']);
    expect(client.isConnected).to.equal(true);
  });

  it('notices a silent network behind a proxy, and connects again', async () => {
    const { url, port } = await start();
    const proxy = await faultProxy(port);
    const client = clientOf({
      url: url.replace(String(port), String(proxy.port)), heartbeat: { interval: 50, timeout: 50 }, reconnect: { initialDelay: 5 },
    });
    await client.connect();
    const again = next(client, 'reconnected');

    proxy.silence();
    await phase(client, 'waiting');
    await again;

    expect((await client.request({ type: 'ping' })).type).to.equal('pong');
    proxy.reset();
    expect(client.explain().map(({ why }) => why)).to.include('the server did not answer a ping');
  });
});
