import { isDeepStrictEqual } from 'node:util';

/** What a client says. */
export interface Request {
  readonly type: string;
  readonly content: unknown;
  /** Whether nothing but an acknowledgement is wanted. */
  readonly ack?: boolean;
}

/** What a server said, whatever its words for it are. `replyTo` is the request it names, where it names one. */
export interface Answer { readonly type: string; readonly content: unknown; readonly replyTo: string | undefined }

/** How clients and servers speak. */
export interface Dialect {
  readonly path: string;
  /** The server speaks first, then the client says this, and the server once more. */
  readonly greeting?: string;
  /** The server's own ping among the messages, and its answer. */
  readonly ping?: { readonly asked: string; readonly answer: string };
  encode(request: Request, id: number): string;
  decode(text: string): Answer;
  /** How the answer to a request names it. */
  nameOf(request: Request, id: number): string | undefined;
}

// As long as what clients send, a UUID, and all of one length.
const uuid = (id: number): string => `018f4a7e-5b1c-7d3a-9c42-${id.toString(16).padStart(12, '0')}`;

/** This package's envelope, which the server on bare `ws` speaks too. */
const envelope: Dialect = {
  path: '/ws',
  encode: ({ type, content, ack }, id) => JSON.stringify({ id: uuid(id), type, content, ack }),
  decode(text) {
    const { id, type, content, timestamp, replyTo, ...more } = JSON.parse(text);
    if (typeof id !== 'string' || id.length !== 36) throw new Error(`an answer has no id: ${text}`);
    if (new Date(timestamp).toISOString() !== timestamp) throw new Error(`an answer has no timestamp: ${text}`);
    if (Object.keys(more).length > 0) throw new Error(`an answer has more fields than it should: ${text}`);
    return { type, content, replyTo };
  },
  nameOf: (_request, id) => uuid(id),
};

// Two digits, so that all are of one length.
const number = (id: number): string => String(id + 10);

/** Engine.IO 4 and Socket.IO 5. https://socket.io/docs/v4/socket-io-protocol */
const socketIo: Dialect = {
  path: '/socket.io/?EIO=4&transport=websocket',
  greeting: '40',
  ping: { asked: '2', answer: '3' },
  encode: ({ type, content, ack }, id) => `42${ack ? number(id) : ''}${JSON.stringify([type, content])}`,
  decode(text) {
    const [, kind, id, list] = /^4([23])(\d*)(\[.*\])$/s.exec(text) ?? [];
    if (kind === undefined) throw new Error(`not an event: ${text}`);
    const values = JSON.parse(list!) as unknown[];
    if (kind === '3') return { type: 'ack', content: values[0], replyTo: id };
    return { type: String(values[0]), content: values[1], replyTo: undefined };
  },
  nameOf: ({ ack }, id) => ack ? number(id) : undefined,
};

export const dialects = { envelope, socketIo } as const;

/** @throws where the answer is not the one that was to come */
export function assertAnswer(text: string, dialect: Dialect, expected: Answer): void {
  const answer = dialect.decode(text);
  if (isDeepStrictEqual(answer, expected)) return;
  throw new Error(`the server answered ${text.slice(0, 500)} instead of ${JSON.stringify(expected).slice(0, 500)}`);
}
