import { once } from 'node:events';
import type { Client, Received } from '../../support/client.ts';
import { eventually } from '../../support/timing.ts';

/** A line of a dialogue: a client connects, sends messages, all at once, or disconnects. */
export type Line = readonly [who: string, ...does: readonly ('connects' | 'disconnects' | Sent)[]];
/** A message, or a text that is none. */
type Sent = object | { readonly raw: string };

interface Server { readonly connect: (options: { path?: string }) => Promise<Client> }

/** A message without its envelope, or the end of a connection: `{ type: 'closed 1008' }`. */
export interface Heard { readonly type: string; readonly [field: string]: unknown }

/** What each client received after a line, in order. */
export type Turn = ReadonlyMap<string, readonly Heard[]>;

/** Stands for a text that differs each time. */
export const SOME_TEXT = '(some text)';

interface RecordOptions {
  /** @default '/ws' */
  readonly path?: string;
  /** How much comes, to wait for. Without it, what has come when a ping is answered is all. */
  readonly expected?: readonly Turn[];
}

/** Plays a dialogue with a server, and tells what came to each client after each line. */
export async function record(server: Server, lines: readonly Line[], options: RecordOptions = {}): Promise<Turn[]> {
  const { path = '/ws', expected } = options;
  const clients = new Map<string, Client>();
  const recorded = new Map<Client, number>();
  const turns: Turn[] = [];
  for (const [index, line] of lines.entries()) {
    await play(server, line, clients, path);
    const turn = new Map<string, Heard[]>();
    for (const [who, client] of clients) {
      const from = recorded.get(client) ?? 0;
      await arrival(client, from, expected?.[index]?.get(who) ?? []);
      await quiet(client);
      const isClosed = client.ws.readyState === client.ws.CLOSED;
      const end = isClosed ? [{ type: `closed ${(await client.closed).code}` }] : [];
      turn.set(who, [...client.messages.slice(from).map(withoutEnvelope), ...end]);
      recorded.set(client, client.messages.length);
      if (isClosed) clients.delete(who);
    }
    turns.push(turn);
  }
  return turns;
}

async function play({ connect }: Server, line: Line, clients: Map<string, Client>, path: string): Promise<void> {
  const [who, ...does] = line;
  for (const what of does) {
    if (what === 'connects') clients.set(who, await connect({ path }));
    else if (what === 'disconnects') {
      await clients.get(who)!.close();
      clients.delete(who);
    } else void clients.get(who)!.send('raw' in what ? what.raw : what);
  }
}

/** Waits for what is expected. What does not come is found missing when the turns are compared. */
async function arrival(client: Client, from: number, expected: readonly Heard[]): Promise<void> {
  const messages = expected.filter(({ type }) => !type.startsWith('closed'));
  if (messages.length < expected.length) await client.closed;
  const arrived = () => client.messages.length - from >= messages.length;
  await eventually('the messages', arrived, 2_000).catch(() => undefined);
}

/** Waits for what a server has sent so far. Twice, for what it sends in a later turn of its loop. */
async function quiet({ ws, closed }: Client): Promise<void> {
  for (let round = 0; round < 2 && ws.readyState === ws.OPEN; round++) {
    ws.ping();
    await Promise.race([once(ws, 'pong'), closed]);
  }
  if (ws.readyState === ws.CLOSING) await closed;
}

/** What this package puts into the content stands beside the type. */
function withoutEnvelope({ id: _, content, ...message }: Received): Heard {
  return { ...(isRecord(content) ? content : content === undefined ? {} : { content }), ...message };
}

/**
 * The fields of `actual` that `expected` has, too. One time is like any other, and so is one text where some text is
 * expected.
 */
export function likened(actual: unknown, expected: unknown): unknown {
  if (expected === SOME_TEXT) return typeof actual === 'string' && actual !== '' ? expected : actual;
  if (isTime(expected)) return isTime(actual) ? expected : actual;
  if (Array.isArray(expected)) {
    return Array.isArray(actual) ? actual.map((item, index) => likened(item, expected[index])) : actual;
  }
  if (!isRecord(expected) || !isRecord(actual)) return actual;
  return Object.fromEntries(Object.keys(expected).map((key) => [key, likened(actual[key], expected[key])]));
}

const isTime = (value: unknown): boolean => typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
