import type {
  Connection, Metadata, RequestOptions, SocketSink, TransportSocket, User,
} from '../contracts.ts';
import type { Core } from '../runtime/core.ts';
import { ModuleError } from '../errors.ts';
import { newId, newSessionId } from '../runtime/ids.ts';
import { Inbox, type InboxBudget } from './inbox.ts';
import type { Binary } from './frame.ts';
import { Outbox, type Flusher, type OutboxOwner } from './outbox.ts';
import type { RequestBudget } from './request-budget.ts';
import { closeCodes, type Codec, type Message, type Outgoing } from '../protocol.ts';
import { clip, isCloseCode } from './close-frame.ts';
import type { Transport } from './transport.ts';

/**
 * Pings and pongs that a client may send within CONTROL_FRAMES_WINDOW milliseconds. Each costs the server as much as a
 * message.
 */
const MAX_CONTROL_FRAMES = 1_000;
const CONTROL_FRAMES_WINDOW = 10_000;
/** Milliseconds after closeWithError() until the socket is destroyed. */
const CLOSE_TIMEOUT = 1_000;
const SLOW = 'slow consumer';

/** What a connection uses of the parts above it. */
export interface ConnectionHost {
  readonly core: Core;
  readonly flusher: Flusher;
  readonly transport: Transport;
  readonly inboxes: InboxBudget;
  readonly requests: RequestBudget;
  /** Called for each received frame. */
  receive(connection: ClientConnection, data: Buffer, binary: boolean): void;
  /** Handles waiting messages, as far as possible now. */
  proceed(connection: ClientConnection): void;
  /** @throws UNSENDABLE_MESSAGE, SEND_LAYER_DROPPED */
  transmit(connection: ClientConnection, message: Outgoing | Binary): boolean;
  dropped(connection: ClientConnection, code: string, count: number): void;
  remove(connection: ClientConnection, code: number, reason: string): void;
}

/** The plugins that withhold topics from a connection, and the owners that set its user and its session. */
export interface Claims {
  heldBy?: Set<string> | undefined;
  user?: string | undefined;
  session?: string | undefined;
}

interface CloseCause { readonly code: number; readonly reason: string }
interface PendingRequest { readonly resolve: (reply: Message) => void; readonly reject: (error: ModuleError) => void }

/** One client. Only the members of the interface `Connection` are public; the kernel uses the others. */
export class ClientConnection implements Connection, SocketSink, OutboxOwner {
  readonly id: string;
  readonly metadata: Metadata;
  readonly connectedAt = Date.now();
  readonly #openedAt = performance.now();
  readonly codec: Codec;
  readonly deflates: boolean;
  readonly socket: TransportSocket;
  readonly outbox: Outbox;
  user: User | undefined = undefined;
  /** Topics it is subscribed to. */
  topics: Set<string> | undefined = undefined;
  /** Received messages that are not handled yet. Created when a message has to wait. */
  inbox: Inbox | undefined = undefined;
  /** Whether all connection layers have accepted it. Before, its frames wait in the inbox. */
  isAdmitted = false;
  /** Whether its messages wait, because it sent too many. */
  isMuted = false;
  /** Whether messages to topics are withheld from it. */
  isHeld = false;
  /** What plugins set on it; undone when they are unloaded. */
  claims: Claims | undefined = undefined;
  /** The number of messages in a handler. */
  running = 0;
  /** The number of invalid messages since the last valid one. */
  invalid = 0;
  /** Its slot in the heartbeat's wheel. */
  slot = 0;
  /** Bytes of an incomplete message, as the budget of the node counts them. */
  unfinished = 0;
  /** While a ping is pending: the bytes that had been received when it was sent. */
  readAtPing: number | undefined = undefined;
  readonly #host: ConnectionHost;
  readonly #core: Core;
  #pending: Map<string, PendingRequest> | undefined = undefined;
  #sessionId: string | undefined = undefined;
  #controlFrames = 0;
  #controlFramesSince = performance.now();
  #isHalted = false;
  /** Ids of the last finished requests. */
  #finished: Set<string> | undefined = undefined;
  #idleWaiters: (() => void)[] | undefined = undefined;
  /** Why the server closed it. */
  #serverClose: CloseCause | undefined = undefined;
  /** Why its socket closed it. */
  #violation: CloseCause | undefined = undefined;

  constructor(id: string, metadata: Metadata, socket: TransportSocket, host: ConnectionHost) {
    this.id = id;
    this.metadata = metadata;
    this.socket = socket;
    this.#host = host;
    this.#core = host.core;
    this.codec = host.transport.codec(socket.protocol);
    this.deflates = socket.deflates;
    this.outbox = new Outbox(this, host.flusher, host.core.settings.outbox);
    socket.sink = this;
  }

  // Created when it is first read: it costs as much as a message, and not every client uses its session.
  get sessionId(): string { return (this.#sessionId ??= newSessionId()); }

  set sessionId(id: string) { this.#sessionId = id; }

  /** The next read of `sessionId` creates a new one. */
  forgetSession(): void { this.#sessionId = undefined; }

  get ip(): string { return this.metadata.ip; }

  get protocol(): string { return this.socket.protocol; }

  get isOpen(): boolean { return this.socket.isOpen; }

  get age(): number { return performance.now() - this.#openedAt; }

  get waitingBytes(): number { return this.outbox.bytes; }

  /** Whether the server closed it, not its client. */
  get isClosedByServer(): boolean { return this.#serverClose !== undefined; }

  /** Whether the server does not read from it, because too many of its messages wait. */
  get isPaused(): boolean { return this.socket.isPaused; }

  send(message: Outgoing | Binary): boolean {
    return this.#core.guard(() => this.#host.transmit(this, message), false);
  }

  async request(message: Outgoing, options: RequestOptions = {}): Promise<Message> {
    const { clock, settings: { message: defaults } } = this.#core;
    const { timeout = defaults.timeout, retries = defaults.maxRetries, signal } = options;
    const request = { ack: true, ...message, id: message.id ?? newId() };
    const { id, type } = request;
    const pending: Map<string, PendingRequest> = (this.#pending ??= new Map());
    if (!this.isOpen) throw new ModuleError('CONNECTION_CLOSED', { connection: this.id });
    if (signal?.aborted) throw new ModuleError('REQUEST_ABORTED', { type }, { cause: signal.reason });
    if (pending.has(id)) {
      throw new ModuleError('UNSENDABLE_MESSAGE', { reason: `a request with id "${id}" already waits for a reply` });
    }
    const actor = this.#host.requests.take(this, pending.size);
    const answer = new Promise<Message>((resolve, reject) => pending.set(id, { resolve, reject }));
    const abort = (): void =>
      pending.get(id)?.reject(new ModuleError('REQUEST_ABORTED', { type }, { cause: signal?.reason }));
    signal?.addEventListener('abort', abort);
    try {
      for (let attempts = 0; attempts <= retries; attempts++) {
        this.#host.transmit(this, request);
        const reply = await clock.within<Message | undefined>(timeout, answer, () => undefined);
        if (reply) return reply;
      }
      throw new ModuleError('REQUEST_TIMEOUT', { type, attempts: retries + 1 });
    } finally {
      this.#host.requests.give(actor);
      this.#finishRequest(id);
      signal?.removeEventListener('abort', abort);
    }
  }

  /**
   * Settles the request that a message replies to. Returns `again` if that request is already finished, and `unknown`
   * if there was none.
   */
  settle(message: Message): 'settled' | 'again' | 'unknown' {
    const pending = this.#pending?.get(message.replyTo!);
    if (!pending) return this.#finished?.has(message.replyTo!) === true ? 'again' : 'unknown';
    pending.resolve(message);
    this.#finishRequest(message.replyTo!);
    return 'settled';
  }

  // A request that was sent again, or aborted, may get another reply later. It is remembered, since that is no error.
  #finishRequest(id: string): void {
    this.#pending?.delete(id);
    const finished = (this.#finished ??= new Set()).add(id);
    if (finished.size > 64) finished.delete(finished.values().next().value!);
  }

  close(code = 1000, reason = ''): void {
    if (!isCloseCode(code)) {
      const expected = '1000 to 1003, 1007 to 1014, or 3000 to 4999';
      throw new ModuleError('OPTION_INVALID', { path: 'close code', given: String(code), expected });
    }
    const clipped = clip(reason);
    this.#serverClose ??= { code, reason: clipped };
    this.socket.close(code, clipped);
    // The client's close frame must still be read.
    if (this.isPaused) this.socket.resume();
  }

  /** Closes a client that may not read the close frame: drops what waits to be sent, and soon destroys the socket. */
  closeWithError(code: number, reason: string): void {
    if (!this.isOpen) return;
    this.#dropWaiting();
    this.close(code, reason);
    this.#core.clock.after(CLOSE_TIMEOUT, () => this.socket.terminate());
  }

  /** Destroys the socket now. */
  terminate(code = 1006, reason = ''): void {
    this.#serverClose ??= { code, reason };
    this.socket.terminate();
  }

  /** Called when all connection layers have accepted it: handles the messages that arrived earlier. */
  admit(): void {
    this.isAdmitted = true;
    if (this.inbox) this.#host.proceed(this);
  }

  /** Queues a frame that may not be handled yet. */
  keep(data: Buffer, binary: boolean): void { this.#inbox.pushFrame(data, binary); }

  /** Queues a frame before all others. */
  keepFirst(data: Buffer, binary: boolean): void { this.#inbox.unshiftFrame(data, binary); }

  /** Queues a message that waits for those before it. */
  keepMessage(message: Message, bytes: number): void { this.#inbox.pushMessage(message, bytes); }

  get #inbox(): Inbox { return (this.inbox ??= new Inbox(this, this.#host.inboxes)); }

  ping(): void {
    this.readAtPing = this.socket.bytesRead;
    this.socket.ping();
  }

  pause(): void { this.socket.pause(); }

  resume(): void {
    // The pong may have arrived meanwhile, and is not read yet: the pending ping is ignored.
    if (this.readAtPing !== undefined) this.readAtPing = -1;
    if (!this.#isHalted) this.socket.resume();
  }

  /** Stops reading, until the connection is closed. */
  halt(): void {
    this.#isHalted = true;
    this.pause();
  }

  /** Resolves when nothing waits to be written, or the connection is closed. */
  async whenIdle(): Promise<void> {
    if (this.outbox.isIdle || !this.isOpen) return;
    await new Promise<void>((resolve) => (this.#idleWaiters ??= []).push(resolve));
  }

  // Called by the socket

  received(data: Buffer, binary: boolean): void {
    // After the server's close frame no reply can be sent. A message that is not handled is not acknowledged, so the
    // client sends it again.
    if (this.isOpen) this.#host.receive(this, data, binary);
  }

  controlFrame(): void {
    if (++this.#controlFrames < MAX_CONTROL_FRAMES) return;
    const now = performance.now();
    const elapsed = now - this.#controlFramesSince;
    if (elapsed < CONTROL_FRAMES_WINDOW) return this.closeWithError(1008, 'too many control frames');
    this.#controlFrames = 0;
    this.#controlFramesSince = now;
  }

  flush(): void { this.outbox.flush(true); }

  // A client that violates the protocol, or loses its network, is no error of the server. The socket closes itself.
  failed(error: Error, phase: 'socket' | 'listener', code?: number): void {
    if (phase === 'listener') return this.#core.report(error, { phase, connection: this });
    const name = 'code' in error ? String(error.code) : error.name;
    // The socket then reports 1006, because it reads no close frame of the client.
    if (code !== undefined) this.#violation = { code, reason: `${name}: ${error.message}` };
    this.#core.statistics.error(name);
    this.#core.log.child('connection').debug('socket error', { connection: this.id, error: error.message });
  }

  closed(code: number, reason: string): void {
    this.#dropWaiting();
    if (this.unfinished > 0) this.#host.inboxes.countUnfinished(this, 0);
    // If the client disconnected, the messages that it had sent are still handled. If the server closed or refused it,
    // they are dropped.
    if (this.inbox && (this.#serverClose || !this.isAdmitted)) {
      this.#host.dropped(this, 'CONNECTION_CLOSED', this.inbox.clear());
    }
    const cause = this.#serverClose ?? this.#violation ?? { code, reason };
    for (const { reject } of this.#pending?.values() ?? []) {
      reject(new ModuleError('CONNECTION_CLOSED', { connection: this.id }));
    }
    this.emptied();
    this.#host.remove(this, cause.code, cause.reason);
  }

  // Called by the outbox

  dropped(count: number): void { this.#host.dropped(this, 'OUTBOX_FULL', count); }

  compressed(saved: number): void { this.#core.statistics.bytesSent -= saved; }

  overflowed(): void { this.closeWithError(closeCodes.slowConsumer, SLOW); }

  // A close frame would wait behind what the client does not read.
  evicted(): void {
    this.#dropWaiting();
    this.terminate(closeCodes.slowConsumer, SLOW);
  }

  emptied(): void {
    const waiters = this.#idleWaiters;
    this.#idleWaiters = undefined;
    for (const resolve of waiters ?? []) resolve();
  }

  #dropWaiting(): void {
    const count = this.outbox.clear();
    if (count > 0) this.#host.dropped(this, 'CONNECTION_CLOSED', count);
  }

  toJSON(): Record<string, unknown> {
    const { id, ip, user, protocol, connectedAt, metadata } = this;
    return { id, ip, user, protocol, connectedAt, metadata };
  }
}
