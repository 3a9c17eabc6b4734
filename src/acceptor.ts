import type { IncomingMessage } from 'node:http';
import type { BlockList } from 'node:net';
import type { Duplex } from 'node:stream';
import { clientAddress, networks } from './address.ts';
import { isCloseCode, type ClientConnection } from './connection.ts';
import type { ConnectionLayer, Metadata, UpgradeLayer, User } from './contracts.ts';
import { ModuleError } from './errors.ts';
import type { Settings } from './options.ts';
import { isRecord } from './protocol.ts';
import { refuse } from './router.ts';
import type { Socket, Transport } from './transport.ts';
import { UndoList } from './undo-list.ts';

/** What an acceptor needs of its manager. */
export interface Gate {
  readonly settings: Settings;
  readonly transport: Transport;
  /** Open connections now. */
  readonly active: number;
  /** @throws why nobody may come in now, if so */
  assertOpen(): void;
  /** Resolves when everything is loaded. */
  ready(): Promise<void>;
  connect(socket: Socket, metadata: Metadata): ClientConnection;
  admit(connection: ClientConnection, user: User | undefined): void;
  /** An error as the peer may see it; the whole of it is reported. */
  present(error: unknown, phase: 'upgrade' | 'connection'): ModuleError;
  refused(error: ModuleError, ip: string): void;
}

/** One upgrade on its way to be a connection. */
interface Attempt {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly metadata: Metadata;
  connection: ClientConnection | undefined;
}

/** HTTP upgrade → upgrade layers → handshake → connection layers → connection. All of it has one deadline. */
export class Acceptor {
  readonly upgradeLayers = new UndoList<UpgradeLayer>();
  readonly connectionLayers = new UndoList<ConnectionLayer>();
  readonly #gate: Gate;
  readonly #trusted: BlockList;
  /** Neither a connection nor refused yet. */
  readonly #attempts = new Set<Attempt>();

  constructor(gate: Gate) {
    this.#gate = gate;
    this.#trusted = networks(gate.settings.trustProxy);
  }

  /** Upgrades that are neither a connection nor refused yet. */
  get pending(): number { return this.#attempts.size; }

  async accept(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { settings } = this.#gate;
    const attempt: Attempt = { request, socket, head, metadata: { ip: clientAddress(request, this.#trusted) }, connection: undefined };
    this.#attempts.add(attempt);
    const timeout = settings.handshakeTimeout;
    const timer = setTimeout(() => this.#refuse(attempt, new ModuleError('HANDSHAKE_TIMEOUT', { timeout })), timeout);
    try {
      this.#check(request);
      await this.#steps(attempt);
    } catch (error) {
      this.#refuse(attempt, this.#gate.present(error, attempt.connection ? 'connection' : 'upgrade'));
    } finally {
      clearTimeout(timer);
      this.#attempts.delete(attempt);
    }
  }

  async #steps(attempt: Attempt): Promise<void> {
    const gate = this.#gate;
    const { request, metadata, socket } = attempt;
    await gate.ready().catch((cause: unknown) => {
      throw new ModuleError('SERVER_NOT_READY', {}, { cause });
    });
    for (const layer of [...this.upgradeLayers]) {
      await layer.handler(request, metadata);
      if (!this.#attempts.has(attempt) || socket.destroyed) return;
    }
    for (const name of gate.settings.keepHeaders) {
      const value = request.headers[name.toLowerCase()];
      if (value !== undefined) (metadata.headers ??= {})[name.toLowerCase()] = String(value);
    }
    gate.assertOpen();
    const ws = await new Promise<Socket | undefined>((resolve, reject) => {
      gate.transport.upgrade(request, socket, attempt.head, (accepted) => {
        // At once, not when the promise has resolved: frames that came with the handshake are read in this turn.
        attempt.connection = gate.connect(accepted, metadata);
        resolve(accepted);
      }, reject);
      // The client may be gone by now; then there is neither a socket nor a refusal.
      if (socket.destroyed) resolve(undefined);
    });
    const { connection } = attempt;
    if (!ws || !connection) return;
    let user: User | undefined;
    for (const layer of [...this.connectionLayers]) {
      const result = await layer.handler(ws, request, metadata);
      if (!this.#attempts.has(attempt) || !connection.isOpen) return;
      if (result === false) throw new ModuleError('CONNECTION_REFUSED');
      if (isRecord(result)) {
        const { user: given, ...more } = result;
        if (isRecord(given)) user = given as User;
        // Defined, not assigned: a field named `__proto__`, read from a client, is a field and no parent.
        Object.defineProperties(metadata, Object.getOwnPropertyDescriptors({ ...more, ip: metadata.ip }));
      }
    }
    gate.assertOpen();
    this.#attempts.delete(attempt);
    gate.admit(connection, user);
  }

  /** What no layer is needed to see. */
  #check(request: IncomingMessage): void {
    const { active, settings: { maxConnections } } = this.#gate;
    const { headers, httpVersion } = request;
    const invalid = (reason: string): never => {
      throw new ModuleError('HANDSHAKE_INVALID', { reason });
    };
    if (httpVersion !== '1.1') invalid('HTTP/1.1 is required');
    if (headers.host === undefined) invalid('the Host header is missing');
    if (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0') invalid('it has a body');
    this.#gate.assertOpen();
    if (!this.#isOriginAllowed(headers)) throw new ModuleError('ORIGIN_REFUSED');
    if (active + this.#attempts.size > maxConnections) throw new ModuleError('SERVER_FULL', { limit: maxConnections });
  }

  // Browsers send an Origin with every handshake, from any page: without this check, any page could talk with the user's cookies (CWE-1385).
  #isOriginAllowed(headers: IncomingMessage['headers']): boolean {
    const { origins } = this.#gate.settings;
    // Version 8 of the protocol, which `ws` accepts, has it in a header of its own.
    const legacy = headers['sec-websocket-origin'];
    for (const origin of [headers.origin, ...(Array.isArray(legacy) ? legacy : [legacy])]) {
      if (origin === undefined || origins === '*') continue;
      if (!URL.canParse(origin)) return false;
      const url = new URL(origin);
      if (url.origin !== origin.toLowerCase()) return false;
      const host = `${url.protocol}//${headers.host ?? ''}`;
      if (!(origins ? origins.some((allowed) => allowed.toLowerCase() === url.origin) : URL.canParse(host) && new URL(host).host === url.host)) return false;
    }
    return true;
  }

  #refuse(attempt: Attempt, error: ModuleError): void {
    const { connection, socket, metadata } = attempt;
    if (!this.#attempts.delete(attempt)) return;
    const { closeCode = 1011 } = error;
    if (connection) connection.close(isCloseCode(closeCode) ? closeCode : 1011, `${error.code}: ${error.message}`);
    else if (!socket.destroyed) refuse(socket, error);
    this.#gate.refused(error, metadata.ip);
  }

  /** Refuses those that are still on their way. */
  close(error: ModuleError): void {
    for (const attempt of this.#attempts) this.#refuse(attempt, error);
  }
}
