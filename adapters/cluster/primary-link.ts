import { hasCode, isRecord, ModuleError, type AppendedEntry } from '../../src/index.ts';
import './cluster-errors.ts';
import { IpcPipe, MAX_UNSENT_BYTES, type Operation } from './ipc-pipe.ts';

/** Milliseconds within which the primary must answer. */
const TIMEOUT = 2_000;

/** What one adapter of this process receives. */
export interface LinkReceiver {
  packet(topic: string, packet: unknown): void;
  changed(key: string | undefined): void;
  appended(topic: string, entry: AppendedEntry): void;
  /** Called when the primary has ended, or closed the channel. */
  disconnected(): void;
}

interface Call {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: ModuleError) => void;
  readonly timer: NodeJS.Timeout;
}

/** PrimaryLink is the connection of one adapter to the primary process. */
export class PrimaryLink {
  static #last = 0;

  readonly #number = ++PrimaryLink.#last;
  readonly #receiver: LinkReceiver;
  readonly #pipe: IpcPipe;
  readonly #calls = new Map<number, Call>();
  #called = 0;

  readonly #disconnected = (): void => {
    this.#fail(new ModuleError('PRIMARY_MISSING'));
    this.#receiver.disconnected();
  };

  /** @throws PRIMARY_MISSING */
  constructor(receiver: LinkReceiver) {
    if (!process.send || !process.connected) throw new ModuleError('PRIMARY_MISSING');
    this.#receiver = receiver;
    this.#pipe = new IpcPipe(process, (operation) => this.#receive(operation));
    process.on('disconnect', this.#disconnected);
  }

  get isConnected(): boolean { return this.#pipe.isConnected; }

  /** @throws PRIMARY_MISSING, PRIMARY_BACKLOG_FULL */
  tell(name: string, args: readonly unknown[]): void { this.#push([name, this.#number, 0, ...args]); }

  #push(operation: Operation): void {
    if (this.#pipe.push(operation)) return;
    if (!this.isConnected) throw new ModuleError('PRIMARY_MISSING');
    throw new ModuleError('PRIMARY_BACKLOG_FULL', { action: operation[0], limit: MAX_UNSENT_BYTES });
  }

  /**
   * Asks the primary.
   * @param timeout milliseconds
   * @throws PRIMARY_MISSING, PRIMARY_SILENT, PRIMARY_BACKLOG_FULL, and the errors of the primary
   */
  ask(name: string, args: readonly unknown[] = [], timeout = TIMEOUT): Promise<unknown> {
    const call = ++this.#called;
    return new Promise((resolve, reject) => {
      this.#push([name, this.#number, call, ...args]);
      const timer = setTimeout(() => {
        this.#calls.delete(call);
        reject(new ModuleError('PRIMARY_SILENT', { action: name, timeout }));
      }, timeout);
      this.#calls.set(call, { resolve, reject, timer });
    });
  }

  close(): void {
    process.off('disconnect', this.#disconnected);
    this.#pipe.close();
    this.#fail(new ModuleError('PRIMARY_MISSING'));
  }

  #receive([name, number, call, first, second, third]: Operation): void {
    // Another adapter of this process has the others.
    if (number !== this.#number) return;
    switch (name) {
      case 'packet': return this.#receiver.packet(String(first), second);
      case 'appended':
        return this.#receiver.appended(String(first), second as AppendedEntry);
      case 'changed': return this.#receiver.changed(typeof first === 'string' ? first : undefined);
      case 'done': return this.#settle(call)?.resolve(first);
      case 'failed': {
        const details = isRecord(third) ? third : {};
        return this.#settle(call)?.reject(new ModuleError(String(first), details, { message: String(second) }));
      }
    }
  }

  /** The call that is answered; `undefined` if its time is over. */
  #settle(number: number): Call | undefined {
    const call = this.#calls.get(number);
    this.#calls.delete(number);
    clearTimeout(call?.timer);
    return call;
  }

  #fail(error: ModuleError): void {
    for (const { reject, timer } of this.#calls.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#calls.clear();
  }
}

/** Errors of the link, which are not answers of the store or the journal. */
const LINK_CODES = ['PRIMARY_MISSING', 'PRIMARY_SILENT', 'PRIMARY_BACKLOG_FULL'] as const;

/**
 * Calls a function of the store or the journal in the primary.
 * @param timeout milliseconds
 * @throws STORE_UNAVAILABLE if the primary does not answer, and the errors of the function
 */
export async function callPrimary<T>(
  link: PrimaryLink | undefined, of: 'store' | 'journal', action: string, given: readonly unknown[], timeout?: number,
): Promise<T> {
  try {
    if (!link) throw new ModuleError('PRIMARY_MISSING');
    return await link.ask(of, [action, given], timeout) as T;
  } catch (cause) {
    if (!LINK_CODES.some((code) => hasCode(cause, code))) throw cause;
    throw new ModuleError('STORE_UNAVAILABLE', { store: 'cluster', action }, { cause });
  }
}
