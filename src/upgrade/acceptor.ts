import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { clientAddress, networks, untrustedProxy } from './address.ts';
import { Refused } from './refused.ts';
import type { ClientConnection } from '../connection/connection.ts';
import type { Socket } from '../connection/transport.ts';
import type { ConnectionLayer, Metadata, UpgradeLayer, UpgradeRequest, User } from '../contracts.ts';
import type { Dispatcher } from '../messages/dispatcher.ts';
import { ModuleError } from '../errors.ts';
import type { Hub } from '../messages/hub.ts';
import { TimeoutQueue } from '../runtime/timeout-queue.ts';
import { toUser } from '../runtime/user.ts';
import { isRecord } from '../protocol.ts';
import { assertHandshake } from './handshake.ts';
import { isOriginAllowed } from './origin.ts';
import { destroyed, refuse } from './router.ts';
import { UndoList } from '../runtime/scope.ts';

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
  readonly request: UpgradeRequest;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly metadata: Metadata;
  readonly startedAt: number;
  connection: ClientConnection | undefined;
  /** The last one that a layer gave. */
  user: User | undefined;
  /** `metadata.user` as the last layer left it. */
  left: unknown;
}

/** Refusals that the operator should hear of. */
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
  readonly #refused: Refused;
  /** When a refusal of a code was last logged. */
  readonly #toldAt = new Map<string, number>();
  #hasWarned = false;
  #closed: ModuleError | undefined;

  constructor(hub: Hub, dispatcher: Dispatcher, parts: AcceptorParts) {
    this.#hub = hub;
    this.#dispatcher = dispatcher;
    this.#parts = parts;
    const { clock, settings: { handshakeTimeout: timeout, trustProxy } } = hub.core;
    this.#isTrusted = networks(trustProxy);
    this.#refused = new Refused(clock);
    this.#attempts = new TimeoutQueue(clock, timeout, (attempt) => {
      this.#refuse(attempt, new ModuleError('HANDSHAKE_TIMEOUT', { timeout }));
    });
  }

  /** Upgrades that are neither a connection nor refused yet. */
  get pending(): number { return this.#attempts.items.size; }

  /** Its own on the clock. */
  get deadlines(): number { return this.#attempts.deadlines + this.#refused.deadlines; }

  async accept(incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const request = incoming as UpgradeRequest;
    const metadata = { ip: clientAddress(request, this.#isTrusted) };
    const startedAt = performance.now();
    const attempt: Attempt = {
      request, socket, head, metadata, startedAt, connection: undefined, user: undefined, left: undefined,
    };
    this.#attempts.add(attempt);
    this.#warnOfProxy(request);
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
    const { request, metadata } = attempt;
    if (!this.#parts.isReady()) {
      await this.#parts.ready().catch((cause: unknown) => {
        throw new ModuleError('SERVER_NOT_READY', {}, { cause });
      });
      if (this.#isGone(attempt)) return;
    }
    for (const layer of [...this.upgradeLayers]) {
      const result = await layer.handler(request, metadata);
      if (this.#isGone(attempt)) return;
      take(attempt, result, layer);
    }
    for (const name of this.#hub.core.settings.keepHeaders) {
      const value = request.headers[name.toLowerCase()];
      if (value !== undefined) (metadata.headers ??= {})[name.toLowerCase()] = String(value);
    }
    this.#assertOpen();
    const connection = this.#shakeHands(attempt);
    if (!connection) return;
    for (const layer of [...this.connectionLayers]) {
      const result = await layer.handler(connection.socket, request, metadata);
      if (!this.#attempts.items.has(attempt) || !connection.isOpen) return;
      take(attempt, result, layer);
    }
    this.#assertOpen();
    this.#attempts.items.delete(attempt);
    if ('user' in metadata) delete metadata.user;
    this.#hub.admit(connection, attempt.user);
  }

  /** Finishes the handshake. Undefined where the client has gone meanwhile. @throws HANDSHAKE_INVALID */
  #shakeHands(attempt: Attempt): ClientConnection | undefined {
    const ws = this.#hub.transport.upgrade(attempt.request, attempt.socket, attempt.head);
    if (!ws) return undefined;
    attempt.socket.off('error', destroyed);
    // At once: frames that came with the handshake are read in this turn.
    return (attempt.connection = this.#parts.connect(attempt.metadata, ws));
  }

  /** Whether it was refused, or the client has gone, while something was waited for. */
  #isGone(attempt: Attempt): boolean { return !this.#attempts.items.has(attempt) || attempt.socket.destroyed; }

  /** Whether no client is let in any more. */
  get isClosed(): boolean { return this.#closed !== undefined; }

  #assertOpen(): void { if (this.#closed) throw this.#closed; }

  /** What no layer is needed to see. */
  #check(request: IncomingMessage): void {
    const { statistics, settings: { maxConnections, origins } } = this.#hub.core;
    const { headers } = request;
    assertHandshake(request);
    this.#assertOpen();
    // Version 8 of the protocol has a header of its own. One given twice is one text with a comma, which is no origin.
    for (const origin of [headers.origin, headers['sec-websocket-origin'] as string | undefined]) {
      if (origin === undefined || isOriginAllowed(origin, headers.host, origins)) continue;
      throw new ModuleError('ORIGIN_REFUSED', { origin, host: headers.host });
    }
    const count = statistics.active + this.pending + this.#refused.size;
    if (count > maxConnections) throw new ModuleError('SERVER_FULL', { limit: maxConnections });
  }

  #refuse(attempt: Attempt, error: ModuleError): void {
    const { socket, metadata: { ip } } = attempt;
    const { statistics, hooks, log } = this.#hub.core;
    if (!this.#attempts.items.delete(attempt)) return;
    if (attempt.connection ?? this.#introduce(attempt, error)) this.#refused.closeWithError(attempt.connection!, error);
    else if (!socket.destroyed) refuse(socket, error);
    statistics.refused++;
    hooks.emit('connection:refused', { error, ip });
    // Log the first refusal of each code, then at most one per minute.
    const now = performance.now();
    const isNews = NEWS.includes(error.code) && now - (this.#toldAt.get(error.code) ?? -Infinity) > 60_000;
    if (isNews) this.#toldAt.set(error.code, now);
    if (!isNews && !log.isVerbose) return;
    const details = { code: error.code, ip, ...error.details };
    log.child('acceptor')[isNews ? 'warn' : 'debug'](`refused: ${error.message}`, details);
  }

  /**
   * Finishes the handshake of a browser that is refused with 401 or 403, so that it sees a close code. Of a refused
   * upgrade a browser sees no status, only 1006, which means "try again". A page of a foreign origin gets no handshake.
   */
  #introduce(attempt: Attempt, { code, status }: ModuleError): ClientConnection | undefined {
    const { request: { headers }, socket } = attempt;
    const isTold = headers.origin !== undefined && (status === 401 || status === 403) && code !== 'ORIGIN_REFUSED';
    if (!isTold || socket.destroyed || this.#hub.core.settings.browserRefusals === 'http') return undefined;
    try {
      return this.#shakeHands(attempt);
    } catch {
      // The handshake fails, too (an extension that cannot be parsed), so only the status is left.
      return undefined;
    }
  }

  #warnOfProxy(request: IncomingMessage): void {
    const text = this.#hasWarned ? undefined : untrustedProxy(request, this.#isTrusted);
    if (text === undefined) return;
    this.#hasWarned = true;
    this.#hub.core.log.child('acceptor').warn(text);
  }

  /** Refuses the upgrades that are on their way, and all later ones. */
  close(): void {
    this.#closed = new ModuleError('SERVER_DRAINING');
    for (const attempt of this.#attempts.items) this.#refuse(attempt, this.#closed);
  }

  /** Ends the refused clients that are still there. */
  terminate(): void { this.#refused.terminate(); }
}

/**
 * Takes over what a layer returned or put into the metadata.
 * @throws CONNECTION_REFUSED, USER_INVALID, USER_ID_RESERVED
 */
function take(attempt: Attempt, result: unknown, layer: UpgradeLayer | ConnectionLayer): void {
  const { metadata } = attempt;
  if (result === false) throw new ModuleError('CONNECTION_REFUSED');
  let given: unknown;
  if (isRecord(result)) {
    const { user, ...more } = result;
    given = user;
    // Defined, not assigned: a field named `__proto__`, read from a client, stays a field and becomes no prototype.
    Object.defineProperties(metadata, Object.getOwnPropertyDescriptors({ ...more, ip: metadata.ip }));
  }
  if (metadata.user !== attempt.left) given ??= metadata.user;
  attempt.left = metadata.user;
  if (given === undefined || given === null) return;
  attempt.user = toUser(given, `the user of layer "${layer.name ?? layer.type}"`);
}
