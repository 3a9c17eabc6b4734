import { isRecord } from '../../src/index.ts';

/** The field of IPC messages between a worker and its primary that belong to this adapter. The digit is the version. */
const FIELD = 'websocket-module:1';
/** Bytes that may wait to be sent to another process. */
export const MAX_UNSENT_BYTES = 67_108_864;
/** Bytes counted for each operation, and for each value in its arguments, in addition to its texts and packets. */
const OVERHEAD = 256;
const VALUE_OVERHEAD = 8;

/**
 * An operation: its name, the number of the adapter in the worker, the number of the question (0 if no answer is
 * awaited), and its arguments.
 */
export type Operation = readonly [name: string, adapter: number, question: number, ...args: unknown[]];

/** One end of the IPC channel between a worker and its primary: the process itself, or a child process. */
export interface IpcChannel {
  readonly connected: boolean;
  send?(message: unknown, callback: (error: Error | null) => void): boolean;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  off(event: 'message', listener: (message: unknown) => void): unknown;
}

/** Sends operations over an IPC channel, in order. Those of one turn of the event loop are sent as one message. */
export class IpcPipe {
  readonly #channel: IpcChannel;
  readonly #listener: (message: unknown) => void;
  #batch: Operation[] = [];
  #batchBytes = 0;
  #unsentBytes = 0;

  /** @param receive called for each operation of the other process */
  constructor(channel: IpcChannel, receive: (operation: Operation) => void) {
    this.#channel = channel;
    this.#listener = (message) => { for (const operation of operationsOf(message)) receive(operation); };
    channel.on('message', this.#listener);
  }

  get isConnected(): boolean { return this.#channel.connected; }

  /** Bytes that are not sent yet. */
  get unsentBytes(): number { return this.#batchBytes + this.#unsentBytes; }

  /** Queues an operation. Returns `false` if it is not sent: the channel is closed, or too much waits. */
  push(operation: Operation): boolean {
    if (!this.isConnected || this.unsentBytes > MAX_UNSENT_BYTES) return false;
    this.#batchBytes += OVERHEAD + sizeOf(operation);
    if (this.#batch.push(operation) === 1) setImmediate(() => this.#flush());
    return true;
  }

  close(): void { this.#channel.off('message', this.#listener); }

  #flush(): void {
    const bytes = this.#batchBytes;
    const message = { [FIELD]: this.#batch };
    this.#batch = [];
    this.#batchBytes = 0;
    if (!this.isConnected) return;
    this.#unsentBytes += bytes;
    // An error means that the other process has ended. Both sides notice that by `disconnect`.
    this.#channel.send?.(message, () => { this.#unsentBytes -= bytes; });
  }
}

/** About how many bytes a value needs. Without recursion, because values of the store may nest deeply. */
function sizeOf(given: unknown): number {
  const values = [given];
  let bytes = 0;
  while (values.length > 0) {
    const value = values.pop();
    bytes += VALUE_OVERHEAD;
    if (typeof value === 'string') bytes += value.length;
    else if (value instanceof Uint8Array) bytes += value.length;
    else if (Array.isArray(value)) for (const item of value) values.push(item);
    else if (isRecord(value)) {
      for (const [key, item] of Object.entries(value)) {
        bytes += key.length;
        values.push(item);
      }
    }
  }
  return bytes;
}

/** The operations in an IPC message; none if it is not a message of this adapter. */
function operationsOf(message: unknown): readonly Operation[] {
  const operations: unknown = isRecord(message) ? message[FIELD] : undefined;
  if (!Array.isArray(operations)) return [];
  return operations.filter((one): one is Operation =>
    Array.isArray(one) && typeof one[0] === 'string' && typeof one[1] === 'number' && typeof one[2] === 'number');
}

/** The bytes of a packet. With the serialization `json`, Node sends a Buffer as a list of numbers. */
export function toBytes(value: unknown): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return Buffer.from(isRecord(value) && Array.isArray(value.data) ? value.data as number[] : []);
}
