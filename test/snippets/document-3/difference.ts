import { expect } from 'chai';
import { type Heard, likened, type Line, SOME_TEXT, type Turn } from './dialogue.ts';

type Fields = Record<string, any>;

/** A difference between what a server of the document sends and what ours sends in its place. Each has a reason. */
export interface Difference {
  /**
   * The type of the message that makes the difference, or `alice: type` for that of one client; without it, any. `raw`
   * is a text that is no message. `time` is a message of ours that no line is the cause of: it may come after any.
   */
  readonly after?: string;
  /** The type of their message, or the end of their connection: `closed 1008`. Without it, ours sends more. */
  readonly theirs?: string;
  /** What ours sends in its place. Without it, ours sends nothing. */
  readonly ours?: string | ((theirs: Fields) => Fields);
  readonly reason: string;
}

/** What must come after a line: to each client, in this order, and the types of what comes besides to its sender. */
interface Expected {
  readonly messages: ReadonlyMap<string, readonly Heard[]>;
  readonly sender: string;
  readonly more: readonly string[];
}

/** An error of ours. Theirs have a text alone. */
export const error = (code: string) => (): Fields => ({ type: 'error', code, message: SOME_TEXT });

/** What ours must send, given what theirs sent. */
export class Translation {
  readonly #lines: readonly Line[];
  readonly #expected: readonly Expected[];
  readonly #anyTime: ReadonlySet<unknown>;

  constructor(lines: readonly Line[], theirs: readonly Turn[], differences: readonly Difference[]) {
    this.#lines = lines;
    const anyTime = differences.filter(({ after }) => after === 'time');
    this.#anyTime = new Set(anyTime.map(({ ours }) => ours));
    const found = new Set(anyTime);
    this.#expected = theirs.map((turn, index) => expectedOf(lines[index]!, turn, differences, found));
    expect(differences.filter((one) => !found.has(one)), 'differences that there are not').to.deep.equal([]);
  }

  /** As many messages as come to each client after each line. */
  get expected(): Turn[] {
    return this.#expected.map(({ messages, sender, more }) => new Map([...messages].map(([who, heard]) => (
      [who, who === sender ? [...heard, ...more.map((type) => ({ type }))] : heard]
    ))));
  }

  /** Holds ours to it: the same messages to the same clients in the same order, and the same ends of connections. */
  compare(ours: readonly Turn[]): void {
    for (const [index, { messages, sender, more }] of this.#expected.entries()) {
      for (const [who, expected] of messages) {
        const where = `after line ${index}, ${JSON.stringify(this.#lines[index])}, to ${who}`;
        const heard = (ours[index]!.get(who) ?? []).filter(({ type }) => !this.#anyTime.has(type));
        for (const type of who === sender ? more : []) {
          const at = heard.findIndex((message) => message.type === type);
          expect(at, `${type} ${where}`).to.not.equal(-1);
          heard.splice(at, 1);
        }
        expect(heard.map(({ type }) => type), where).to.deep.equal(expected.map(({ type }) => type));
        for (const [at, message] of expected.entries()) {
          expect(likened(heard[at], message), where).to.deep.equal(message);
        }
      }
    }
  }
}

function expectedOf(line: Line, turn: Turn, differences: readonly Difference[], found: Set<Difference>): Expected {
  const [sender, ...does] = line;
  const sent = does.flatMap((what) => {
    if (typeof what === 'string') return [];
    return 'raw' in what ? 'raw' : String((what as Fields)['type']);
  });
  const causes = new Set(sent.flatMap((type) => [type, `${sender}: ${type}`]));
  const applies = differences.filter(({ after }) => after === undefined || causes.has(after));
  const translate = (message: Heard): Heard[] => {
    const difference = applies.find(({ theirs }) => theirs === message.type);
    if (!difference) return [message];
    found.add(difference);
    const { ours } = difference;
    if (ours === undefined) return [];
    return [(typeof ours === 'string' ? { ...message, type: ours } : ours(message)) as Heard];
  };
  const more = applies.filter(({ theirs }) => theirs === undefined);
  for (const difference of more) found.add(difference);
  const messages = new Map([...turn].map(([who, heard]) => [who, heard.flatMap(translate)]));
  return { messages, sender, more: more.map(({ ours }) => ours as string) };
}
