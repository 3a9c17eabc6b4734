import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  check, definePlugin, isOrigin, ModuleError, nodeOf, rules, toError, type Plugin, type UpgradeRequest,
} from '../src/index.ts';
import {
  answerBytes, answerError, answerPreflight, prepare, type Cors,
} from './long-polling/polling-answer.ts';
import { PollingOffer } from './long-polling/polling-offer.ts';
import { checkType, readRequest, type PollingRequest } from './long-polling/polling-request.ts';
import { pollOnce, pollStream } from './long-polling/polls.ts';
import { RemoteSessions } from './long-polling/remote-sessions.ts';
import { Sessions } from './long-polling/sessions.ts';

export interface LongPollingOptions {
  /** The path of the requests. @default the path of the manager */
  readonly path?: string | undefined;
  /** Milliseconds after which a poll without messages is answered; less than proxies wait. @default 25_000 */
  readonly wait?: number | undefined;
  /** Milliseconds without a request after which a session ends. @default 20_000 */
  readonly sessionTimeout?: number | undefined;
  /** Maximum bytes of a request's body. A longer message is sent in several requests. @default 262_144 */
  readonly maxBody?: number | undefined;
  /** Whether clients may receive by server-sent events, which take fewer requests. @default true */
  readonly streaming?: boolean | undefined;
  /** Which pages of other origins may read the answers. The option `origins` must list them, too. @default none */
  readonly cors?: {
    /** Origins such as `https://app.example.com`, or `*`. */
    readonly origins: readonly string[];
    /** Whether browsers send cookies. Not with `*`. @default false */
    readonly credentials?: boolean | undefined;
  } | undefined;
}

export interface LongPollingApi {
  /** The number of sessions on this node. */
  readonly sessions: number;
}
declare module '../src/index.ts' { interface PluginApis { 'long-polling': LongPollingApi } }

/** Keeps the connection when a body is not read to its end: the error is sent on this connection. */
const KEEP = { destroyOnReturn: false };

const { boolean, duration, group, integer, list, path } = rules;
const isAllowed = (origin: string): boolean => origin === '*' || isOrigin(origin);
const POLLING_RULES = {
  path,
  wait: integer(100, 600_000),
  sessionTimeout: duration,
  maxBody: integer(1_024, 2 ** 30),
  streaming: boolean,
  cors: group({
    fields: { origins: list('origins such as "https://app.example.com"', isAllowed), credentials: boolean },
  }),
};

/**
 * Lets clients connect by HTTP requests, if a proxy or a filter blocks WebSockets. For the application, such a
 * connection is like any other.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use(longPolling())
 */
export function longPolling(options: LongPollingOptions = {}): Plugin<'long-polling', never, LongPollingApi> {
  const {
    path, wait = 25_000, sessionTimeout = 20_000, maxBody = 262_144, streaming = true, cors: given,
  } = check(options, POLLING_RULES, 'longPolling');
  const cors = given && corsOf(given);

  return definePlugin({
    name: 'long-polling',
    setup(context): LongPollingApi {
      const { node } = context;
      const sessions = new Sessions(context, sessionTimeout);
      const remote = new RemoteSessions(context, sessions);
      const host = { nodeId: node.id, settings: { wait, maxBody, streaming }, sessions };
      let requests = 0;

      /** The id of the node that has the session; `undefined` for this node. @throws POLLING_SESSION_UNKNOWN */
      const holderOf = (session: string): string | undefined => {
        const holder = nodeOf(session);
        if (holder === node.id) return undefined;
        // The node has stopped. For the client, the connection is lost (1006), and it opens a new one.
        if (!remote.has(holder)) throw new ModuleError('POLLING_SESSION_UNKNOWN');
        return holder;
      };

      const poll = async (asked: PollingRequest, response: ServerResponse): Promise<void> => {
        const session = asked.session!;
        const holder = holderOf(session);
        const milliseconds = Math.min(wait, asked.wait);
        const gone = new AbortController();
        response.once('close', () => gone.abort());
        if (holder !== undefined) {
          const { position, bytes } = await remote.poll(holder, asked, milliseconds);
          if (!response.destroyed) answerBytes(response, position, bytes);
          return;
        }
        const socket = sessions.find(session, asked.origin);
        if (streaming && asked.wantsStream) {
          response.setHeader('Content-Type', 'text/event-stream');
          // nginx buffers answers otherwise.
          response.setHeader('X-Accel-Buffering', 'no');
          const stop = pollStream(socket, asked.received, milliseconds, {
            write: (event) => void response.write(event),
            end: () => void response.end(),
          });
          response.once('close', stop);
          // A comment, which shows the client at once that streams work here.
          response.write(': open\n\n');
          return;
        }
        const { position, bytes } = await pollOnce(socket, asked.received, milliseconds, gone.signal);
        // The session ended while the request waited.
        if (bytes.length === 0 && socket.isClosed) throw new ModuleError('POLLING_SESSION_UNKNOWN');
        if (!response.destroyed) answerBytes(response, position, bytes);
      };

      const send = async (asked: PollingRequest, request: IncomingMessage, response: ServerResponse): Promise<void> => {
        const session = asked.session!;
        const holder = holderOf(session);
        checkType(request);
        if (Number(request.headers['content-length'] ?? 0) > maxBody) tooLong();
        if (holder !== undefined) {
          const pieces: Buffer[] = [];
          for await (const piece of piecesOf(request)) pieces.push(piece);
          await remote.send(holder, asked, Buffer.concat(pieces), wait);
        } else {
          const socket = sessions.find(session, asked.origin);
          const end = socket.beginWriting();
          try {
            socket.confirm(asked.received);
            let { position } = asked;
            // Each piece is handled when it arrives. The body is never in memory as a whole.
            for await (const piece of piecesOf(request)) {
              await socket.receive(position, piece);
              position += piece.length;
            }
          } finally {
            end();
            if (!socket.isClosed) sessions.touch(socket);
          }
        }
        response.writeHead(204).end();
      };

      const tooLong = (): never => { throw new ModuleError('POLLING_BODY_TOO_LONG', { limit: maxBody }); };

      /** The pieces of a body. Ends a request whose body is too long or takes too long. */
      const piecesOf = async function* (request: IncomingMessage): AsyncGenerator<Buffer, void> {
        const late = context.after(sessionTimeout, () => request.destroy());
        let size = 0;
        try {
          for await (const piece of request.iterator(KEEP) as AsyncIterable<Buffer>) {
            size += piece.length;
            if (size > maxBody) tooLong();
            yield piece;
          }
        } finally {
          late();
        }
      };

      const open = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
        checkType(request);
        const { headers } = request;
        if ((headers['content-length'] ?? '0') !== '0' || headers['transfer-encoding'] !== undefined) {
          throw new ModuleError('POLLING_INVALID', { reason: 'a request without Polling-Session must have no body' });
        }
        // Layers read subprotocols, and a token among them, from the header that a WebSocket has.
        const offered = headers['polling-protocol'];
        if (offered !== undefined) headers['sec-websocket-protocol'] = String(offered);
        await context.accept(new PollingOffer(request as UpgradeRequest, response, host));
      };

      context.http(path ?? node.path, async (request, response) => {
        requests++;
        // If the client resets the connection, this is not an error of the server.
        request.on('error', () => undefined);
        response.on('error', () => undefined);
        prepare(request, response, cors);
        try {
          if (request.method === 'OPTIONS') return answerPreflight(response);
          if (request.method !== 'GET' && request.method !== 'POST') {
            throw new ModuleError('POLLING_INVALID', { reason: 'the method must be GET or POST' });
          }
          const asked = readRequest(request);
          if (asked.session !== undefined) {
            await (request.method === 'GET' ? poll(asked, response) : send(asked, request, response));
          } else if (request.method === 'POST') await open(request, response);
          else throw new ModuleError('POLLING_INVALID', { reason: 'Polling-Session is missing' });
        } catch (error) {
          refuse(response, error);
        }
      });

      const refuse = (response: ServerResponse, thrown: unknown): void => {
        // The client has aborted the request, so no answer can be sent.
        if (response.req.destroyed && !response.req.complete) return;
        const isOwn = thrown instanceof ModuleError;
        if (!isOwn) context.report(toError(thrown), { phase: 'http' });
        answerError(response, isOwn ? thrown : new ModuleError('INTERNAL_ERROR'));
      };

      context.metrics(() => ({
        sessions: { type: 'gauge', help: 'Number of long-polling sessions on this node.', value: sessions.size },
        waiting: {
          type: 'gauge', help: 'Number of sessions for which a poll waits.', value: sessions.size - sessions.idleCount,
        },
        requests: { type: 'counter', help: 'Number of long-polling requests.', value: requests },
      }));
      context.onUnload(() => sessions.terminate());
      return { get sessions() { return sessions.size; } };
    },
  });
}

/** @throws OPTION_INVALID for `*` with credentials */
function corsOf({ origins = [], credentials = false }: Partial<NonNullable<LongPollingOptions['cors']>>): Cors {
  if (credentials && origins.includes('*')) {
    const expected = 'a list of origins without "*", because "credentials" is true';
    throw new ModuleError('OPTION_INVALID', { path: 'longPolling.cors.origins', given: '"*"', expected });
  }
  return { origins: origins.map((origin) => origin.toLowerCase()), credentials };
}

longPolling.longPolling = longPolling;
export { longPolling as default, longPolling as 'module.exports' };
