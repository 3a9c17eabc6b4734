import type { IncomingMessage } from 'node:http';
import { clientAddress, networks, untrustedProxy } from './address.ts';
import { RefusedClients } from './refused-clients.ts';
import type { ClientConnection } from '../connection/connection.ts';
import type {
  ConnectionLayer, ConnectionOffer, Metadata, TransportSocket, UpgradeLayer, User,
} from '../contracts.ts';
import type { Dispatcher } from '../messages/dispatcher.ts';
import { ModuleError } from '../errors.ts';
import type { Hub } from '../messages/hub.ts';
import { TimeoutQueue } from '../runtime/timeout-queue.ts';
import { toUser } from '../runtime/user.ts';
import { isRecord } from '../protocol.ts';
import { isOriginAllowed } from './origin.ts';
import { UndoList } from '../runtime/scope.ts';

/** What an acceptor uses of the parts above it. */
export interface AcceptorParts {
  /** Whether everything is loaded. */
  isReady(): boolean;
  /** Resolves when everything is loaded. */
  ready(): Promise<void>;
  connect(metadata: Metadata, socket: TransportSocket): ClientConnection;
}

/** An offer that is neither a connection nor refused yet. */
interface Attempt {
  readonly offer: ConnectionOffer;
  readonly metadata: Metadata;
  readonly startedAt: number;
  connection: ClientConnection | undefined;
  /** The last user that a layer returned or put into the metadata. */
  user: User | undefined;
  /** `metadata.user` after the last layer. */
  lastMetadataUser: unknown;
}

/** Codes of refusals that are logged as warnings: the operator may have to act. */
const WARNED_CODES: readonly string[] = ['ORIGIN_REFUSED', 'SERVER_FULL', 'SERVER_OVERLOADED'];

/** Offer → upgrade layers → handshake → connection layers → connection. All steps share one deadline. */
export class Acceptor {
  readonly upgradeLayers = new UndoList<UpgradeLayer>();
  readonly connectionLayers = new UndoList<ConnectionLayer>();
  readonly #hub: Hub;
  readonly #dispatcher: Dispatcher;
  readonly #parts: AcceptorParts;
  readonly #isTrusted: (address: string) => boolean;
  readonly #attempts: TimeoutQueue<Attempt>;
  readonly #refused: RefusedClients;
  /** The time of the last warning, by code. */
  readonly #warnedAt = new Map<string, number>();
  #hasWarnedOfProxy = false;
  #closed: ModuleError | undefined;

  constructor(hub: Hub, dispatcher: Dispatcher, parts: AcceptorParts) {
    this.#hub = hub;
    this.#dispatcher = dispatcher;
    this.#parts = parts;
    const { clock, settings: { handshakeTimeout: timeout, trustProxy } } = hub.core;
    this.#isTrusted = networks(trustProxy);
    this.#refused = new RefusedClients(clock);
    this.#attempts = new TimeoutQueue(clock, timeout, (attempt) => {
      this.#refuse(attempt, new ModuleError('HANDSHAKE_TIMEOUT', { timeout }));
    });
  }

  /** The number of upgrades that are neither a connection nor refused yet. */
  get pending(): number { return this.#attempts.items.size; }

  /** The number of its deadlines on the clock. */
  get deadlines(): number { return this.#attempts.deadlines + this.#refused.deadlines; }

  async accept(offer: ConnectionOffer): Promise<void> {
    const { request } = offer;
    const metadata = { ip: clientAddress(request, this.#isTrusted) };
    const startedAt = performance.now();
    const attempt: Attempt = {
      offer, metadata, startedAt, connection: undefined, user: undefined, lastMetadataUser: undefined,
    };
    this.#attempts.add(attempt);
    this.#warnOfProxy(request);
    try {
      this.#check(offer);
      await this.#steps(attempt);
    } catch (error) {
      this.#refuse(attempt, this.#dispatcher.present(error, { phase: attempt.connection ? 'connection' : 'upgrade' }));
    } finally {
      this.#attempts.items.delete(attempt);
    }
  }

  async #steps(attempt: Attempt): Promise<void> {
    const { offer: { request }, metadata } = attempt;
    if (!this.#parts.isReady()) {
      await this.#parts.ready().catch((cause: unknown) => {
        throw new ModuleError('SERVER_NOT_READY', {}, { cause });
      });
      if (this.#isGone(attempt)) return;
    }
    for (const layer of [...this.upgradeLayers]) {
      const result = await layer.handler(request, metadata);
      if (this.#isGone(attempt)) return;
      applyResult(attempt, result, layer);
    }
    for (const name of this.#hub.core.settings.keepHeaders) {
      const value = request.headers[name.toLowerCase()];
      if (value !== undefined) (metadata.headers ??= {})[name.toLowerCase()] = String(value);
    }
    this.#assertOpen();
    const connection = this.#completeHandshake(attempt);
    if (!connection) return;
    for (const layer of [...this.connectionLayers]) {
      const result = await layer.handler(connection.socket, request, metadata);
      if (!this.#attempts.items.has(attempt) || !connection.isOpen) return;
      applyResult(attempt, result, layer);
    }
    this.#assertOpen();
    this.#attempts.items.delete(attempt);
    if ('user' in metadata) delete metadata.user;
    this.#hub.admit(connection, attempt.user);
  }

  /** Completes the handshake. Returns undefined if the client has disconnected meanwhile. @throws HANDSHAKE_INVALID */
  #completeHandshake(attempt: Attempt): ClientConnection | undefined {
    const socket = attempt.offer.complete(this.#hub.transport);
    if (!socket) return undefined;
    // Without delay: frames that arrived with the handshake are read in this turn.
    return (attempt.connection = this.#parts.connect(attempt.metadata, socket));
  }

  /** Whether the attempt was refused, or the client has disconnected, during an await. */
  #isGone(attempt: Attempt): boolean { return !this.#attempts.items.has(attempt) || attempt.offer.isGone; }

  /** Whether all new clients are refused. */
  get isClosed(): boolean { return this.#closed !== undefined; }

  #assertOpen(): void { if (this.#closed) throw this.#closed; }

  /** Refuses invalid handshakes, foreign origins and too many connections, before any layer runs. */
  #check(offer: ConnectionOffer): void {
    const { statistics, settings: { maxConnections, origins } } = this.#hub.core;
    const { headers } = offer.request;
    offer.check();
    this.#assertOpen();
    // Version 8 of the protocol uses Sec-WebSocket-Origin. Node joins repeated headers with a comma: that is no origin.
    for (const origin of [headers.origin, headers['sec-websocket-origin'] as string | undefined]) {
      if (origin === undefined || isOriginAllowed(origin, headers.host, origins)) continue;
      throw new ModuleError('ORIGIN_REFUSED', { origin, host: headers.host });
    }
    const count = statistics.active + this.pending + this.#refused.size;
    if (count > maxConnections) throw new ModuleError('SERVER_FULL', { limit: maxConnections });
  }

  #refuse(attempt: Attempt, error: ModuleError): void {
    const { offer, metadata: { ip } } = attempt;
    const { statistics, hooks, log } = this.#hub.core;
    if (!this.#attempts.items.delete(attempt)) return;
    const connection = attempt.connection ?? this.#completeForBrowser(attempt, error);
    if (connection) this.#refused.closeWithError(connection, error);
    else if (!offer.isGone) offer.refuse(error);
    statistics.refused++;
    hooks.emit('connection:refused', { error, ip });
    // Log the first refusal of each code, then at most one per minute.
    const now = performance.now();
    const isWarning = WARNED_CODES.includes(error.code) && now - (this.#warnedAt.get(error.code) ?? -Infinity) > 60_000;
    if (isWarning) this.#warnedAt.set(error.code, now);
    if (!isWarning && !log.isVerbose) return;
    const details = { code: error.code, ip, ...error.details };
    log.child('acceptor')[isWarning ? 'warn' : 'debug'](`refused: ${error.message}`, details);
  }

  /**
   * Completes the handshake of a browser that is refused with 401 or 403, so that it sees a close code. Of a refused
   * upgrade it would see no HTTP status, only the code 1006, which means "try again". A page of a foreign origin gets
   * no handshake.
   */
  #completeForBrowser(attempt: Attempt, { code, status }: ModuleError): ClientConnection | undefined {
    const { offer } = attempt;
    const isUseful = !offer.seesStatus && (status === 401 || status === 403) && code !== 'ORIGIN_REFUSED';
    if (!isUseful || offer.isGone || this.#hub.core.settings.browserRefusals === 'http') return undefined;
    try {
      return this.#completeHandshake(attempt);
    } catch {
      // The handshake is invalid, too (such as an extension that cannot be parsed): answer with the status.
      return undefined;
    }
  }

  #warnOfProxy(request: IncomingMessage): void {
    const text = this.#hasWarnedOfProxy ? undefined : untrustedProxy(request, this.#isTrusted);
    if (text === undefined) return;
    this.#hasWarnedOfProxy = true;
    this.#hub.core.log.child('acceptor').warn(text);
  }

  /** Refuses all pending and later upgrades. */
  close(): void {
    this.#closed = new ModuleError('SERVER_DRAINING');
    for (const attempt of this.#attempts.items) this.#refuse(attempt, this.#closed);
  }

  /** Destroys the sockets of refused clients that have not disconnected yet. */
  terminate(): void { this.#refused.terminate(); }
}

/**
 * Merges the result of a layer into the metadata. A user that the layer returned, or put there, becomes the user.
 * @throws CONNECTION_REFUSED, USER_INVALID, USER_ID_RESERVED
 */
function applyResult(attempt: Attempt, result: unknown, layer: UpgradeLayer | ConnectionLayer): void {
  const { metadata } = attempt;
  if (result === false) throw new ModuleError('CONNECTION_REFUSED');
  let given: unknown;
  if (isRecord(result)) {
    const { user, ...more } = result;
    given = user;
    // Defined instead of assigned: a field named `__proto__`, from a client, does not become the prototype.
    Object.defineProperties(metadata, Object.getOwnPropertyDescriptors({ ...more, ip: metadata.ip }));
  }
  if (metadata.user !== attempt.lastMetadataUser) given ??= metadata.user;
  attempt.lastMetadataUser = metadata.user;
  if (given === undefined || given === null) return;
  attempt.user = toUser(given, `the user of layer "${layer.name ?? layer.type}"`);
}
