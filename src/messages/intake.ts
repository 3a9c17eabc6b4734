import type { LeaseKeeper } from '../cluster/lease-keeper.ts';
import type { ClientConnection } from '../connection/connection.ts';
import { InboxBudget } from '../connection/inbox.ts';
import type { FrameGuard } from '../contracts.ts';
import { ModuleError, toError } from '../errors.ts';
import { closeCodes, isRecord, json, Message, Refusal, toMessage } from '../protocol.ts';
import type { Core } from '../runtime/core.ts';
import { UndoList } from '../runtime/scope.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Hub } from './hub.ts';
import { UnfinishedMessages } from './unfinished-messages.ts';

/** A refused frame of up to this many bytes is parsed, to find the id for the reply. */
const MAX_BYTES_FOR_ID = 4_096;
/** Bytes of one connection that may wait, in addition to two messages of the maximum size. */
const INBOX_MARGIN = 1_048_576;
/** Waiting bytes of one connection at which reading pauses. */
const PAUSE_BYTES = 65_536;

/** Intake turns the frames of connections into messages, in order and within bounds, for the dispatcher. */
export class Intake {
  /** Consulted before a frame is parsed. */
  readonly guards = new UndoList<FrameGuard>();
  /** The waiting bytes of all connections. */
  readonly inboxes = new InboxBudget<ClientConnection>();
  readonly unfinished: UnfinishedMessages;

  readonly #core: Core;
  readonly #hub: Hub;
  readonly #dispatcher: Dispatcher;
  readonly #lease: LeaseKeeper | undefined;

  constructor(hub: Hub, dispatcher: Dispatcher) {
    this.#core = hub.core;
    this.#hub = hub;
    this.#dispatcher = dispatcher;
    this.#lease = hub.cluster.lease;
    this.unfinished = new UnfinishedMessages({
      connections: hub.connections,
      count: (connection, bytes) => {
        this.inboxes.countUnfinished(connection, bytes);
        this.#boundAll();
      },
      timedOut: (connection) => this.#discard(connection, closeCodes.heartbeatMissed, 'a message did not end in time'),
    }, hub.core.settings.message.receiveTimeout);
  }

  /** Handles a received frame, or queues it. */
  receive(connection: ClientConnection, data: Buffer, binary: boolean): void {
    this.#core.statistics.bytesReceived += data.length;
    // A node that stood still learns here that its lease is lost, before it handles anything.
    this.#lease?.holds();
    if (connection.isAdmitted && !connection.isMuted && !connection.inbox?.frames.length && !this.#isFull(connection)) {
      return this.#take(connection, data, binary);
    }
    connection.keep(data, binary);
    this.#bound(connection);
  }

  /** Whether another message could neither run now nor wait in parsed form. */
  #isFull({ running, inbox }: ClientConnection): boolean {
    const { concurrency, maxWaiting } = this.#core.settings.message;
    return running >= concurrency && inbox?.isFull(maxWaiting) === true;
  }

  /** Pauses a connection with many waiting messages, and closes one with too many. */
  #bound(connection: ClientConnection): void {
    const { maxPayload, message: { maxWaiting } } = this.#core.settings;
    const inbox = connection.inbox!;
    const isFull = inbox.isFull(maxWaiting) || inbox.frames.length >= maxWaiting || inbox.bytes >= PAUSE_BYTES;
    if ((connection.isMuted || isFull) && !connection.isPaused) connection.pause();
    // Pausing is not a bound: frames that were already read, or are being inflated, still arrive.
    if (inbox.bytes > 2 * maxPayload + INBOX_MARGIN) this.#overflow(connection);
    this.#boundAll();
  }

  /** While more bytes wait than `maxWaitingBytes`, closes the connection with the most waiting bytes. */
  #boundAll(): void {
    const { maxWaitingBytes } = this.#core.settings.message;
    while (this.inboxes.bytes > maxWaitingBytes) {
      const { largest } = this.inboxes;
      if (!largest) break;
      this.#overflow(largest);
    }
  }

  #overflow(connection: ClientConnection): void {
    this.#hub.dropped(connection, 'BACKLOG_FULL', connection.inbox?.clear() ?? 0);
    this.#discard(connection, closeCodes.rateLimited, 'BACKLOG_FULL: too many messages wait');
  }

  /** Closes a connection, and drops the bytes that were read from it and are not a message yet. */
  #discard(connection: ClientConnection, code: number, reason: string): void {
    this.inboxes.countUnfinished(connection, 0);
    connection.closeWithError(code, reason);
    connection.socket.discard();
  }

  /**
   * Handles a frame now, or queues its message. Messages of one connection run in order, unless `message.concurrency`
   * exceeds 1.
   */
  #take(connection: ClientConnection, data: Buffer, binary: boolean): void {
    const size = data.length;
    if (this.guards.size > 0 && !this.#passes(connection, data, binary)) return;
    const message = this.#decode(connection, data, binary);
    if (!message) return;
    if (message.replyTo !== undefined) {
      const outcome = connection.settle(message);
      if (outcome === 'settled') for (const guard of this.guards) guard.refund(connection, size);
      if (outcome !== 'unknown' || message.type === 'ack') return;
    }
    if (connection.running < this.#core.settings.message.concurrency && !connection.inbox?.messages.length) {
      return this.#dispatcher.start(connection, message);
    }
    connection.keepMessage(message, size);
    this.#bound(connection);
  }

  /** Whether the guards let a frame pass. */
  #passes(connection: ClientConnection, data: Buffer, binary: boolean): boolean {
    for (const guard of this.guards) {
      const verdict = guard.charge(connection, data.length);
      if (verdict === undefined) continue;
      // The frame is not handled now, so the guards before this one get their charge back.
      for (const earlier of this.guards) {
        if (earlier === guard) break;
        earlier.refund(connection, data.length);
      }
      if (verdict instanceof ModuleError) this.#refuse(connection, data, binary, verdict);
      else this.#mute(connection, data, binary, verdict);
      return false;
    }
    return true;
  }

  /** Replies to a refused frame. A short frame is parsed for its id. */
  #refuse(connection: ClientConnection, data: Buffer, binary: boolean, error: ModuleError): void {
    this.#core.statistics.received++;
    let id: string | undefined;
    if (!binary && connection.codec === json && data.length <= MAX_BYTES_FOR_ID) {
      try {
        id = idOf(JSON.parse(data.toString()));
      } catch {
        // It is not JSON, so it has no id.
      }
    }
    this.#dispatcher.fail(connection, error, id);
  }

  /** Queues a client's frames, unparsed, until the promise resolves. */
  #mute(connection: ClientConnection, data: Buffer, binary: boolean, until: Promise<void>): void {
    connection.isMuted = true;
    connection.keepFirst(data, binary);
    this.#bound(connection);
    const end = (): void => {
      connection.isMuted = false;
      this.proceed(connection);
    };
    until.then(end, (error: unknown) => {
      this.#core.report(toError(error), { phase: 'message', connection });
      end();
    });
  }

  #decode(connection: ClientConnection, data: Buffer, binary: boolean): Message | undefined {
    const { maxDepth, maxValues, message: { maxInvalid } } = this.#core.settings;
    const { codec } = connection;
    let value: unknown;
    try {
      if (binary === codec.binary) {
        value = codec.decode(binary ? data : data.toString(), maxDepth, maxValues);
        const message = toMessage(value, maxDepth, codec === json ? data.length : undefined);
        // The handler of `binary` expects bytes.
        if (message.type === 'binary' && !binary) {
          throw new Refusal('INVALID_MESSAGE', { reason: 'the type "binary" is reserved for binary frames' });
        }
        return message;
      }
      if (!binary) {
        throw new Refusal('INVALID_MESSAGE', { reason: `the subprotocol "${codec.name}" requires binary frames` });
      }
      const message = new Message({ type: 'binary', content: data });
      if (!this.#dispatcher.handlers.find(message, connection)) throw new ModuleError('BINARY_UNSUPPORTED');
      return message;
    } catch (thrown) {
      this.#core.statistics.received++;
      this.#dispatcher.fail(
        connection,
        thrown instanceof Refusal ? new ModuleError<string>(thrown.code, thrown.details) : thrown,
        idOf(value),
      );
      if (++connection.invalid >= maxInvalid) {
        const error = new ModuleError('TOO_MANY_INVALID', { limit: maxInvalid });
        connection.close(error.closeCode, error.message);
      }
      return undefined;
    }
  }

  /** Handles waiting messages, as far as possible now. */
  proceed(connection: ClientConnection): void {
    const { message: { concurrency, maxWaiting } } = this.#core.settings;
    const { inbox } = connection;
    // If the client disconnected, its waiting messages are still handled. If the server closed it, they are not.
    while (inbox && connection.running < concurrency && !connection.isClosedByServer && !connection.isMuted) {
      const message = inbox.shiftMessage();
      if (message) this.#dispatcher.start(connection, message);
      else if (!this.#takeNext(connection)) break;
    }
    // Parse further frames while a handler runs: one of them may be the reply that it awaits.
    while (
      inbox
      && !connection.isClosedByServer
      && !connection.isMuted
      && !inbox.isFull(maxWaiting)
      && this.#takeNext(connection)
    );
    const isLow = !inbox
      || (inbox.messages.length + inbox.frames.length <= maxWaiting / 2 && inbox.bytes < PAUSE_BYTES);
    if (isLow && connection.isPaused && connection.isOpen && !connection.isMuted) connection.resume();
  }

  #takeNext(connection: ClientConnection): boolean {
    const frame = connection.inbox!.shiftFrame();
    if (frame) this.#take(connection, ...frame);
    return frame !== undefined;
  }
}

/** The id of a decoded value, if it has one. */
function idOf(value: unknown): string | undefined {
  return isRecord(value) && typeof value.id === 'string' && value.id.length <= 128 ? value.id : undefined;
}
