import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { clientAddress, networks } from './address.ts';
import type { ClientConnection } from '../connection/connection.ts';
import type { ConnectionLayer, Metadata, UpgradeLayer, User } from '../contracts.ts';
import type { Dispatcher } from '../messages/dispatcher.ts';
import { ModuleError } from '../errors.ts';
import { assertUser, type Hub } from '../messages/hub.ts';
import type { Settings } from '../runtime/options.ts';
import { TimeoutQueue } from '../runtime/timeout-queue.ts';
import { closeCodes, isRecord } from '../protocol.ts';
import { destroyed, refuse } from './router.ts';
import { UndoList } from '../runtime/scope.ts';
import { isCloseCode, type Socket } from '../connection/transport.ts';

/** What an acceptor needs of the kernel above it. */
export interface AcceptorParts {
  /** Whether everything is loaded. */
  isReady(): boolean;
  /** Resolves when everything is loaded. */
  ready(): Promise<void>;
  connect(metadata: Metadata, socket: Socket): ClientConnection;
}

/** One upgrade on its way to be a connection. */
interface Attempt {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly metadata: Metadata;
  readonly startedAt: number;
  connection: ClientConnection | undefined;
}

/** Refusals that whoever runs the server should hear of. */
const NEWS: readonly string[] = ['ORIGIN_REFUSED', 'SERVER_FULL', 'SERVER_OVERLOADED'];

/** HTTP upgrade → upgrade layers → handshake → connection layers → connection. All of it has one deadline. */
export class Acceptor {
  readonly upgradeLayers = new UndoList<UpgradeLayer>();
  readonly connectionLayers = new UndoList<ConnectionLayer>();
  readonly #hub: Hub;
  readonly #dispatcher: Dispatcher;
  readonly #parts: AcceptorParts;
  readonly #isTrusted: (address: string) => boolean;
  /** Neither a connection nor refused yet. */
  readonly #attempts: TimeoutQueue<Attempt>;
  /** When a refusal of a code was last told. */
  readonly #toldAt = new Map<string, number>();
  #closed: ModuleError | undefined;

  constructor(hub: Hub, dispatcher: Dispatcher, parts: AcceptorParts) {
    this.#hub = hub;
    this.#dispatcher = dispatcher;
    this.#parts = parts;
    const { clock, settings: { handshakeTimeout: timeout, trustProxy } } = hub.core;
    this.#isTrusted = networks(trustProxy);
    this.#attempts = new TimeoutQueue(clock, timeout, (attempt) => this.#refuse(attempt, new ModuleError('HANDSHAKE_TIMEOUT', { timeout })));
  }

  /** Upgrades that are neither a connection nor refused yet. */
  get pending(): number { return this.#attempts.items.size; }

  /** Its own on the clock. */
  get deadlines(): number { return this.#attempts.deadlines; }

  async accept(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const metadata = { ip: clientAddress(request, this.#isTrusted) };
    const attempt: Attempt = { request, socket, head, metadata, startedAt: performance.now(), connection: undefined };
    this.#attempts.add(attempt);
    try {
      this.#check(request);
      await this.#steps(attempt);
    } catch (error) {
      this.#refuse(attempt, this.#dispatcher.present(error, { phase: attempt.connection ? 'connection' : 'upgrade' }));
    } finally {
      this.#attempts.items.delete(attempt);
    }
  }

  async #steps(attempt: Attempt): Promise<void> {
    const hub = this.#hub;
    const { request, metadata, socket } = attempt;
    if (!this.#parts.isReady()) {
      await this.#parts.ready().catch((cause: unknown) => {
        throw new ModuleError('SERVER_NOT_READY', {}, { cause });
      });
      if (this.#isGone(attempt)) return;
    }
    for (const layer of [...this.upgradeLayers]) {
      await layer.handler(request, metadata);
      if (this.#isGone(attempt)) return;
    }
    for (const name of hub.core.settings.keepHeaders) {
      const value = request.headers[name.toLowerCase()];
      if (value !== undefined) (metadata.headers ??= {})[name.toLowerCase()] = String(value);
    }
    this.#assertOpen();
    const ws = hub.transport.upgrade(request, socket, attempt.head);
    if (!ws) return;
    socket.off('error', destroyed);
    // At once: frames that came with the handshake are read in this turn.
    const connection = (attempt.connection = this.#parts.connect(metadata, ws));
    let user: User | undefined;
    for (const layer of [...this.connectionLayers]) {
      const result = await layer.handler(ws, request, metadata);
      if (!this.#attempts.items.has(attempt) || !connection.isOpen) return;
      if (result === false) throw new ModuleError('CONNECTION_REFUSED');
      if (isRecord(result)) {
        const { user: given, ...more } = result;
        if (isRecord(given)) user = given as User;
        // Defined, not assigned: a field named `__proto__`, read from a client, is a field and no parent.
        Object.defineProperties(metadata, Object.getOwnPropertyDescriptors({ ...more, ip: metadata.ip }));
      }
    }
    this.#assertOpen();
    if (user) assertUser(user);
    this.#attempts.items.delete(attempt);
    hub.admit(connection, user);
  }

  /** Whether it was refused, or the client has gone, while something was waited for. */
  #isGone(attempt: Attempt): boolean { return !this.#attempts.items.has(attempt) || attempt.socket.destroyed; }

  /** Whether nobody is let in any more. */
  get isClosed(): boolean { return this.#closed !== undefined; }

  #assertOpen(): void { if (this.#closed) throw this.#closed; }

  /** What no layer is needed to see. */
  #check(request: IncomingMessage): void {
    const { statistics, settings: { maxConnections, origins } } = this.#hub.core;
    const { headers, httpVersion } = request;
    const hasBody = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
    const reason = httpVersion !== '1.1' ? 'HTTP/1.1 is required' : headers.host === undefined ? 'the Host header is missing' : hasBody ? 'it has a body' : undefined;
    if (reason) throw new ModuleError('HANDSHAKE_INVALID', { reason });
    this.#assertOpen();
    // Version 8 of the protocol, which `ws` accepts, has it in a header of its own. Given twice, it is one text with a
    // comma, and no origin.
    for (const origin of [headers.origin, headers['sec-websocket-origin'] as string | undefined]) {
      if (origin !== undefined && !isOriginAllowed(origin, headers.host, origins)) throw new ModuleError('ORIGIN_REFUSED', { origin, host: headers.host });
    }
    if (statistics.active + this.pending > maxConnections) throw new ModuleError('SERVER_FULL', { limit: maxConnections });
  }

  #refuse(attempt: Attempt, error: ModuleError): void {
    const { connection, socket, metadata: { ip } } = attempt;
    const { statistics, hooks, log } = this.#hub.core;
    if (!this.#attempts.items.delete(attempt)) return;
    const { closeCode = 1011 } = error;
    // A close in this range names the time to come back.
    const reason = closeCode === closeCodes.restarting ? 'retry=1000' : `${error.code}: ${error.message}`;
    if (connection) connection.close(isCloseCode(closeCode) ? closeCode : 1011, reason);
    else if (!socket.destroyed) refuse(socket, error);
    statistics.refused++;
    hooks.emit('connection:refused', { error, ip });
    // The first of a kind, and then one a minute: a page that cannot connect is not to be a riddle, nor a flood one of
    // lines.
    const now = performance.now();
    const isNews = NEWS.includes(error.code) && now - (this.#toldAt.get(error.code) ?? -Infinity) > 60_000;
    if (isNews) this.#toldAt.set(error.code, now);
    if (isNews || log.isVerbose) log.child('acceptor')[isNews ? 'warn' : 'debug'](`refused: ${error.message}`, { code: error.code, ip, ...error.details });
  }

  /** Refuses those that are on their way, and whoever comes. */
  close(): void {
    this.#closed = new ModuleError('SERVER_DRAINING');
    for (const attempt of this.#attempts.items) this.#refuse(attempt, this.#closed);
  }
}

// Browsers send an Origin with every handshake, from any page: without this check, any page could talk with the user's
// cookies (CWE-1385).
function isOriginAllowed(origin: string, host: string | undefined, allowed: Settings['origins']): boolean {
  if (allowed === '*') return true;
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  if (url.origin !== origin.toLowerCase()) return false;
  if (allowed) return allowed.some((one) => one.toLowerCase() === url.origin);
  const own = `${url.protocol}//${host ?? ''}`;
  return URL.canParse(own) && new URL(own).host === url.host;
}
