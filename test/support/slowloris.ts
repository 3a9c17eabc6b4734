import type { ServerOptions } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { bareEcho } from './bare-echo.ts';
import { cleanup } from './cleanup.ts';
import { type Address, handshake, raw, rawWebSocket } from './raw.ts';
import { percentile, timed } from './timing.ts';

export const kinds = ['silent', 'dripping', 'unanswered'] as const;
export type Kind = typeof kinds[number];

/** An upgrade layer that never settles for those who ask for it. */
export const tarpit = {
  type: 'upgrade' as const,
  name: 'tarpit',
  handler: (request: { url?: string | undefined }) => request.url?.includes('tarpit') ? new Promise<void>(() => {}) : undefined,
};

/** One client that never finishes its handshake. Resolves to how many milliseconds the server put up with it. */
export async function loris(address: Address, kind: Kind, deadline: number): Promise<number> {
  const client = await raw(address);
  const start = performance.now();
  const bytes = handshake(kind === 'unanswered' ? { ...address, path: '/ws?tarpit' } : address, { headers: { 'X-Slow': 'x'.repeat(200) } });
  if (kind === 'unanswered') await client.write(bytes);
  let at = 0;
  const drip = kind === 'dripping'
    ? setInterval(() => { if (at < bytes.length - 4) client.socket.write(bytes[at++]!); }, 50)
    : undefined;
  try {
    await client.end(deadline);
    return performance.now() - start;
  } finally {
    clearInterval(drip);
    client.destroy();
  }
}

/** Connects again and again until told to stop, and resolves to the milliseconds that each handshake took. */
export function honestClients(address: Address, period = 20): { stop(): Promise<number[]> } {
  const state = { stopped: false };
  const samples: number[] = [];
  const done = (async () => {
    while (!state.stopped) {
      samples.push(await timed(async () => (await rawWebSocket(address)).reset()));
      await delay(period);
    }
    return samples;
  })();
  return { async stop() { state.stopped = true; return done; } };
}

export interface SlowlorisReport {
  /** The longest that the server put up with a client of each kind, in milliseconds. */
  readonly longest: Readonly<Record<Kind, number>>;
  /** The 99th percentile of honest handshakes, idle and under attack. */
  readonly idle: number;
  readonly attacked: number;
}

/** So many clients of some kinds, arriving within half a second, and honest ones among them. */
export async function slowloris(address: Address, of: readonly Kind[], each: number, deadline: number): Promise<SlowlorisReport> {
  const before = honestClients(address, 5);
  await delay(300);
  const idle = await before.stop();
  const during = honestClients(address);
  const longest: Record<Kind, number> = { silent: 0, dripping: 0, unanswered: 0 };
  await Promise.all(of.flatMap((kind) => Array.from({ length: each }, async (_, index) => {
    await delay(500 * index / each);
    const lasted = await loris(address, kind, deadline).catch(() => Infinity);
    longest[kind] = Math.max(longest[kind], lasted);
  })));
  return { longest, idle: percentile(idle, 0.99), attacked: percentile(await during.stop(), 0.99) };
}

/** The same attack on plain `ws` with the same settings, less the kind that it never lets go of. */
export async function slowlorisControl(http: ServerOptions, each: number, deadline: number): Promise<SlowlorisReport> {
  const bare = await bareEcho({}, http);
  cleanup(() => bare.stop());
  return slowloris(bare, ['silent', 'dripping'], each, deadline);
}

/** What the machine allows: milliseconds to be held, and to connect, where a limit is more than even the control can keep. */
export function allowance(control: SlowlorisReport, idle: number, limit: number): { readonly held: number; readonly connect: number } {
  const { longest: { silent, dripping }, attacked } = control;
  return { held: Math.max(limit, 1.15 * Math.max(silent, dripping)), connect: Math.max(100, 10 * idle, 2 * attacked) };
}
