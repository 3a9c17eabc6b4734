import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { child } from '../support/child.ts';
import { cleanup } from '../support/cleanup.ts';
import type { calls } from '../support/processes/draining.ts';
import { handshake, raw } from '../support/raw.ts';
import { eventually, withinAllowance } from '../support/timing.ts';

const CLIENTS = 500;
/** Milliseconds between two messages of one client: 200 a second of all. */
const PACE = CLIENTS / 200 * 1_000;
const WINDOW = 5_000;

interface Talker {
  /** Ids of what was sent, and of what was answered. */
  readonly sent: Set<string>;
  readonly answered: Set<string>;
  closed: { readonly code: number; readonly reason: string } | undefined;
}

async function application(work: number | null, drainTimeout: number) {
  const process_ = await child<typeof calls>(new URL('../support/processes/draining.ts', import.meta.url));
  const { port, pid } = await process_.call('start', { drainTimeout }, work, WINDOW);
  return { ...process_, port, pid };
}

/** A client that sends messages that must be answered, one each while, until it is told to come back. */
async function talker(port: number, offset: number): Promise<Talker> {
  const self: Talker = { sent: new Set(), answered: new Set(), closed: undefined };
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, { perMessageDeflate: false });
  cleanup(() => { socket.terminate(); });
  socket.on('error', () => { /* 'close' follows */ });
  socket.on('message', (data: Buffer) => { self.answered.add((JSON.parse(data.toString()) as { replyTo: string }).replyTo); });
  const closed = new Promise<void>((resolve) => socket.once('close', (code, reason) => {
    self.closed = { code, reason: reason.toString() };
    resolve();
  }));
  await new Promise((resolve, reject) => { socket.once('open', resolve); socket.once('error', reject); });
  void (async () => {
    await Promise.race([closed, delay(offset)]);
    for (let n = 0; socket.readyState === WebSocket.OPEN; n++) {
      const id = `${offset}:${n}`;
      self.sent.add(id);
      socket.send(`{"type":"work","ack":true,"id":"${id}"}`);
      await Promise.race([closed, delay(PACE)]);
    }
  })();
  return self;
}

const all = (port: number): Promise<Talker[]> => Promise.all(Array.from({ length: CLIENTS }, (_, n) => talker(port, n * PACE / CLIENTS)));

describe('HOSTILE 30: graceful drain', () => {
  it('HOSTILE 30: loses no acknowledged message, gives all 500 clients their own time to reconnect, and exits with code 0', async () => {
    const app = await application(300, 10_000);
    const talkers = await all(app.port);
    await eventually('traffic', () => talkers.reduce((sum, { answered }) => sum + answered.size, 0) > 300, 10_000);
    // A browser's spare connection: open before, used only now.
    const spare = await raw({ port: app.port });
    const start = performance.now();

    process.kill(app.pid, 'SIGTERM');
    await delay(100);
    await spare.write(handshake({ port: app.port }));
    const answer = await spare.answer();
    await eventually('the end', () => app.exit() !== undefined, 15_000);
    const took = performance.now() - start;
    await eventually('all told', () => talkers.every(({ closed }) => closed !== undefined));

    const codes = new Set(talkers.map(({ closed }) => closed!.code));
    const retries = talkers.map(({ closed }) => Number(/^retry=(\d+)$/.exec(closed!.reason)?.[1]));
    const spread = Math.max(...retries) - Math.min(...retries);
    const answered = talkers.reduce((sum, talker_) => sum + talker_.answered.size, 0);
    const unanswered = talkers.reduce((sum, talker_) => sum + talker_.sent.size, 0) - answered;
    console.log(`      took ${took.toFixed(0)} ms; spread ${(100 * spread / WINDOW).toFixed(0)} % of the window; ${unanswered} sent into the drain, to be sent again`);
    expect(app.exit(), app.output()).to.equal(0);
    expect(took).to.be.below(10_500);
    expect(answer?.status).to.equal(503);
    expect(codes).to.deep.equal(new Set([4200]));
    expect(spread).to.be.at.least(0.8 * WINDOW);
    expect(Math.max(...retries)).to.be.at.most(WINDOW);
    expect(app.output(), 'each message that was handled is answered; what was not read is not').to.equal(`handled ${answered}`);
  });

  it('HOSTILE 30: refuses new clients with 503 while it drains', async () => {
    const app = await application(1_500, 10_000);
    await talker(app.port, 0);
    await delay(300);

    process.kill(app.pid, 'SIGTERM');
    await delay(200);
    const outcome = await (async () => {
      const late = await raw({ port: app.port });
      await late.write(handshake({ port: app.port }));
      return (await late.answer())?.status;
    })().catch((error: unknown) => (error as { code: string }).code);

    expect(outcome).to.equal(503);
    await eventually('the end', () => app.exit() !== undefined);
    expect(app.exit()).to.equal(0);
  });

  it('HOSTILE 30: exits with code 0 within half a second of its deadline, whatever hangs', () => withinAllowance(3, async () => {
    const app = await application(null, 2_000);
    const talkers = await Promise.all(Array.from({ length: 50 }, (_, n) => talker(app.port, n)));
    const deaf = await raw({ port: app.port }, { answerClose: false });
    await deaf.write(handshake({ port: app.port }));
    await deaf.answer();
    await delay(500);
    const start = performance.now();

    process.kill(app.pid, 'SIGTERM');
    await eventually('the end', () => app.exit() !== undefined, 10_000);
    const took = performance.now() - start;
    await eventually('all told', () => talkers.every(({ closed }) => closed !== undefined));

    console.log(`      took ${took.toFixed(0)} ms`);
    expect(app.exit(), app.output()).to.equal(0);
    expect(took).to.be.at.least(1_900);
    expect(new Set(talkers.map(({ closed }) => closed!.code))).to.deep.equal(new Set([4200]));
    return { 'ms until it exits': { value: took, allowed: 2_500 } };
  }));

  it('HOSTILE 30: exits at once with code 1 at a second signal', async () => {
    const app = await application(null, 60_000);
    await talker(app.port, 0);
    await delay(300);

    process.kill(app.pid, 'SIGTERM');
    await delay(300);
    expect(app.exit(), 'it drains').to.equal(undefined);
    process.kill(app.pid, 'SIGINT');
    await eventually('the end, long before its deadline', () => app.exit() !== undefined);

    expect(app.exit()).to.equal(1);
  });
});
