import { once } from 'node:events';
import { expect } from 'chai';
import type { Client, Received } from '../../support/client.ts';

/** A line of a dialogue: somebody comes, says something, says several things at once, or goes. */
export type Line = readonly [who: string, ...does: readonly ('comes' | 'goes' | Says)[]];
/** A message, or a text that is none. */
type Says = object | { readonly raw: string };

/** Whoever can be connected to. */
interface Server { readonly connect: (options: { path?: string }) => Promise<Client> }

/** What came to whom. Whose connection the server closed got `{ type: 'closed' }`. */
export interface Heard { readonly who: string; readonly message: Received }

/** Stands for a text that is another one each time. */
export const SOME_TEXT = '(some text)';

/** Plays a dialogue with a server, and tells what came to whom after each line. */
export async function listen(server: Server, lines: readonly Line[], path?: string): Promise<Heard[][]> {
  const clients = new Map<string, Client>();
  const heard: Heard[][] = [];
  for (const line of lines) {
    const before = new Map([...clients].map(([who, { messages }]) => [who, messages.length]));
    await play(server, line, clients, path);
    await Promise.all([...clients.values()].map(quiet));
    heard.push([...clients].flatMap(([who, { ws, messages }]) => {
      const isClosed = ws.readyState === ws.CLOSED;
      if (isClosed) clients.delete(who);
      return [...messages.slice(before.get(who) ?? 0), ...(isClosed ? [{ type: 'closed', content: undefined }] : [])].map((message) => ({ who, message }));
    }));
  }
  return heard;
}

/** Plays it with another server, where the same must come to the same people and nobody else, in the envelope of this package. */
export async function hear(server: Server, lines: readonly Line[], expected: readonly (readonly Heard[])[], path?: string): Promise<void> {
  const clients = new Map<string, Client>();
  const everybody = new Map<string, Client>();
  for (const [index, line] of lines.entries()) {
    await play(server, line, clients, path);
    for (const [who, client] of clients) everybody.set(who, client);
    for (const { who, message } of expected[index]!) {
      const client = clients.get(who)!;
      if (message.type === 'closed') await client.closed;
      else expect(likened(open(await client.next(message.type)), message), `after line ${index}, ${JSON.stringify(line)}, to ${who}`).to.deep.equal(message);
    }
  }
  const types = (messages: readonly Received[]): string[] => messages.map(({ type }) => type).filter((type) => type !== 'closed').sort();
  const known = new Set(expected.flat().map(({ message }) => message.type));
  for (const [who, client] of everybody) {
    await quiet(client);
    const due = expected.flat().filter((one) => one.who === who).map(({ message }) => message);
    expect(types(client.messages.filter(({ type }) => known.has(type))), `all that came to ${who}`).to.deep.equal(types(due));
  }
}

async function play({ connect }: Server, [who, ...does]: Line, clients: Map<string, Client>, path = '/ws'): Promise<void> {
  for (const what of does) {
    if (what === 'comes') clients.set(who, await connect({ path }));
    else if (what === 'goes') {
      await clients.get(who)!.close();
      clients.delete(who);
    } else void clients.get(who)!.send('raw' in what ? what.raw : what);
  }
}

/** What a server sent because of what it got is here. Twice, for what it sent in a later turn of its loop. */
async function quiet({ ws, closed }: Client): Promise<void> {
  for (let round = 0; round < 2 && ws.readyState === ws.OPEN; round++) {
    ws.ping();
    await Promise.race([once(ws, 'pong'), closed]);
  }
  if (ws.readyState === ws.CLOSING) await closed;
}

/** A message without its envelope: what is in its content stands beside the type. */
const open = ({ type, timestamp, content }: Received): unknown => ({ ...(isRecord(content) ? content : { content }), type, timestamp });

/** Of a value what another one has, too. A time is like any other time. */
function likened(actual: unknown, expected: unknown): unknown {
  if (expected === SOME_TEXT) return typeof actual === 'string' && actual !== '' ? expected : actual;
  if (isTime(expected)) return isTime(actual) ? expected : actual;
  if (Array.isArray(expected)) return Array.isArray(actual) ? actual.map((item, index) => likened(item, expected[index])) : actual;
  if (!isRecord(expected) || !isRecord(actual)) return actual;
  return Object.fromEntries(Object.keys(expected).map((key) => [key, likened(actual[key], expected[key])]));
}

const isTime = (value: unknown): boolean => typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value);

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
