import { expect } from 'chai';
import fc from 'fast-check';
import sinon from 'sinon';
import { PollingSocket } from '../../client/polling-socket.ts';
import { TransportChoice } from '../../client/transport-choice.ts';
import type { SocketListeners } from '../../client/open-socket.ts';
import { cleanup } from '../support/cleanup.ts';
import { settled } from './around.ts';

const MINUTE = 60_000;
const HALF_AN_HOUR = 30 * MINUTE;

/** A choice in fake time. The test plays the link, and the WebSockets that the choice opens to look. */
function choose({ websocket = true, canSwitch = (): boolean | undefined => true } = {}) {
  const clock = sinon.useFakeTimers({ now: 1_700_000_000_000, toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  cleanup(() => clock.restore());
  const looks: (SocketListeners & { readonly closed: number[]; readonly sent: string[] })[] = [];
  const switches: string[] = [];
  const choice = new TransportChoice(
    { websocket: { enabled: websocket }, polling: { interval: 1, maxInterval: 1, timeout: 1_000 }, connectTimeout: 10_000 },
    {
      token: () => Promise.resolve(undefined),
      open(_, listeners) {
        const [closed, sent]: [number[], string[]] = [[], []];
        looks.push({ ...listeners, closed, sent });
        return { socket: { send: (data: string) => sent.push(data), close: (code: number) => closed.push(code) } as never, failure: '' };
      },
      greeting: 'hello',
      canSwitch: () => canSwitch(),
      switchNow: (why) => {
        switches.push(why);
        choice.stop();
      },
    },
  );
  /** An attempt. Returns its transport. */
  const next = (): string => {
    const given = choice.next();
    expect(given === undefined || given.prototype instanceof PollingSocket).to.equal(true);
    expect(choice.transport).to.equal(given ? 'polling' : 'websocket');
    return choice.transport;
  };
  /** So many attempts that end without a word. */
  const failing = (count: number): string[] => Array.from({ length: count }, () => {
    const transport = next();
    choice.lost();
    return transport;
  });
  /** Connects by polling, because WebSocket does not pass. */
  const connectPolling = (): void => {
    failing(1);
    expect(next()).to.equal('polling');
    choice.up();
  };
  /** The next look at WebSocket ends so. */
  const look = async (milliseconds: number, passes: boolean): Promise<void> => {
    const before = looks.length;
    await clock.tickAsync(milliseconds);
    expect(looks.length, 'looks').to.equal(before + 1);
    looks.at(-1)!.open();
    if (passes) looks.at(-1)!.frame('a frame');
    else looks.at(-1)!.end(1006, '');
    await settled();
  };
  return { choice, clock, looks, switches, next, failing, connectPolling, look };
}

const of = (transports: string[]): string => transports.map(([first]) => first).join('');

describe('the choice of a transport', () => {
  it('mixes a few attempts by polling in where nothing answers, and never adds one', () => {
    const { failing } = choose();

    expect(of(failing(33))).to.equal('wpwpwwwpwwwwwwwpwwwwwwwwwwwwwwwpw');
  });

  it('waits longer with polling where a WebSocket has worked', () => {
    const { choice, next, failing } = choose();
    next();
    choice.heard();
    choice.up();
    choice.lost();

    expect(of(failing(9))).to.equal('wwwpwwwpw');
  });

  it('counts no attempt that the server closed, or sent a frame to', () => {
    const { choice, next } = choose();
    const seen: string[] = [];

    for (const code of [4100, 1013, 4001, 4003]) {
      seen.push(next());
      choice.lost(code);
    }
    seen.push(next());
    choice.heard();
    choice.lost();
    seen.push(next());

    expect(of(seen)).to.equal('wwwwww');
  });

  it('gives a first frame 5 seconds where no WebSocket has passed, and the whole time elsewhere', () => {
    const { choice, next } = choose();
    next();
    const deadlines = [choice.deadline];
    choice.lost();
    next();
    deadlines.push(choice.deadline);
    choice.lost();
    next();
    choice.heard();
    choice.up();
    choice.lost();
    next();
    deadlines.push(choice.deadline);

    expect(deadlines).to.deep.equal([5_000, 10_000, 10_000]);
  });

  it('avoids WebSocket for half an hour after a failed look, and then looks again', async () => {
    const { choice, clock, look, next, connectPolling, switches } = choose();
    connectPolling();
    await look(4_000, false);

    choice.lost();
    const early = next();
    choice.up();
    await clock.tickAsync(20 * MINUTE);
    choice.lost();
    const still = next();
    choice.up();
    await look(10 * MINUTE + 1, true);

    expect([early, still]).to.deep.equal(['polling', 'polling']);
    expect(switches).to.deep.equal(['WebSocket passes again']);
    expect(next()).to.equal('websocket');
  });

  it('takes WebSocket with a reconnect after half an hour', async () => {
    const { choice, clock, look, next, connectPolling } = choose();
    connectPolling();
    await look(4_000, false);

    choice.lost();
    await clock.tickAsync(HALF_AN_HOUR);

    expect(next()).to.equal('websocket');
  });

  it('stays with polling while the server is down, and tries WebSocket now and then', async () => {
    const { choice, look, connectPolling, failing } = choose();
    connectPolling();
    await look(4_000, false);
    choice.lost();

    expect(of(failing(9))).to.equal('pppwpppwp');
  });

  it('goes back at once if the look passes, and leaves no socket open', async () => {
    const { looks, switches, look, connectPolling, next } = choose();
    connectPolling();

    await look(4_000, true);

    expect(switches).to.have.length(1);
    expect(looks.map(({ closed, sent }) => [closed, sent])).to.deep.equal([[[1000], ['hello']]]);
    expect(next()).to.equal('websocket');
  });

  it('waits with going back until the connection is idle', async () => {
    let isIdle = false;
    const { clock, switches, look, connectPolling } = choose({ canSwitch: () => isIdle });
    connectPolling();
    await look(4_000, true);
    await clock.tickAsync(MINUTE);
    const during = switches.length;

    isIdle = true;
    await clock.tickAsync(1_000);

    expect([during, switches.length]).to.deep.equal([0, 1]);
  });

  it('leaves going back to the next reconnect without a session', async () => {
    const { choice, clock, switches, look, next, connectPolling } = choose({ canSwitch: () => undefined });
    connectPolling();
    await look(4_000, true);
    await clock.tickAsync(HALF_AN_HOUR);
    choice.lost();

    expect(switches).to.deep.equal([]);
    expect(next()).to.equal('websocket');
    expect(clock.countTimers()).to.equal(0);
  });

  it('forgets all in another network, and looks at it once per minute at most', async () => {
    const { choice, clock, looks, look, connectPolling } = choose();
    connectPolling();
    await look(4_000, false);

    for (let change = 0; change < 200; change++) {
      choice.networkChanged();
      await clock.tickAsync(1_000);
      // The look that is under way fails.
      looks.at(-1)!.end(1006, '');
    }

    expect(looks.length).to.be.within(3, 5);
  });

  it('takes WebSocket in another network', async () => {
    const { choice, look, next, connectPolling } = choose();
    connectPolling();
    await look(4_000, false);
    choice.lost();

    choice.networkChanged();

    expect(next()).to.equal('websocket');
  });

  it('never looks where WebSocket is switched off', async () => {
    const { choice, clock, looks, failing, next } = choose({ websocket: false });

    expect(of(failing(5))).to.equal('ppppp');
    next();
    choice.up();
    choice.networkChanged();
    await clock.tickAsync(HALF_AN_HOUR);

    expect(looks).to.deep.equal([]);
  });

  it('gives up a look, its socket and all timers when the connection ends', async () => {
    const { choice, clock, looks, switches, connectPolling } = choose();
    connectPolling();
    await clock.tickAsync(4_000);
    looks[0]!.open();

    choice.lost();
    looks[0]!.frame('too late');
    await settled();

    expect(looks[0]!.closed).to.deep.equal([1000]);
    expect(switches).to.deep.equal([]);
    expect(clock.countTimers()).to.equal(0);
  });

  it('holds whatever happens: timers end with the connection, and polling never takes over while WebSocket works', () => {
    const step = fc.constantFrom('fail', 'up', 'code', 'network');
    fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { choice, clock, next } = choose();
      let passed = 0;
      for (const what of steps) {
        const transport = next();
        // A WebSocket that has just worked is tried three times before polling is.
        if (passed > 0) expect(transport).to.equal('websocket');
        if (what === 'up') choice.up();
        if (what === 'network') choice.networkChanged();
        choice.lost(what === 'code' ? 4100 : undefined);
        if (transport === 'websocket' && (what === 'up' || what === 'code')) passed = 3;
        else passed = what === 'network' ? 0 : passed - 1;
      }
      const timers = clock.countTimers();
      clock.restore();
      expect(timers).to.equal(0);
    }));
  });
});
