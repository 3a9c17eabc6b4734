import { connect, type Socket } from 'node:net';
import { inflateRawSync, constants } from 'node:zlib';
import type { Dialect } from './dialects.ts';
import { closeFrame, FrameReader, pongFrame, textFrame, type FrameVisitor } from './frames.ts';

export interface Address {
  readonly port: number;
  readonly dialect: Dialect;
  readonly compression: boolean;
}

// One buffer for all clients: each read is processed before the next one.
const shared = Buffer.allocUnsafeSlow(256 * 1_024);
/** Bytes from which all servers compress. */
const WORTH_COMPRESSING = 1_024;
const PING = 0x9;
const CLOSE = 0x8;
// RFC 7692 7.2.2: the sender removes these bytes.
const TAIL = Buffer.of(0, 0, 0xff, 0xff);

/** One client on a TCP socket. It counts messages by their headers, and reads them only during collect(). */
export class Client implements FrameVisitor {
  /** Called with the number of messages of one read. */
  onMessages: (count: number) => void = () => undefined;
  readonly #socket: Socket;
  readonly #dialect: Dialect;
  readonly #compression: boolean;
  readonly #reader = new FrameReader();
  #inHead = true;
  #head = '';
  #count = 0;
  #shortest = 0;
  #longest = Infinity;
  #texts: string[] | undefined;
  #sizes: number[] = [];
  #collected: (() => void) | undefined;
  #closing = false;
  #onClosed: (() => void) | undefined;
  #failed: (error: Error) => void;
  readonly #opened: () => void;
  readonly #welcome: Promise<unknown> | undefined;

  private constructor(
    { port, dialect, compression }: Address,
    localAddress: string | undefined,
    failed: (error: Error) => void,
    opened: () => void,
  ) {
    this.#dialect = dialect;
    this.#compression = compression;
    this.#failed = failed;
    this.#opened = opened;
    // The greeting may arrive in one read with the handshake.
    if (dialect.greeting !== undefined) this.#welcome = this.collect(1);
    this.#socket = connect({
      port, host: '127.0.0.1', noDelay: true, ...(localAddress === undefined ? {} : { localAddress }),
      onread: { buffer: shared, callback: (size) => { this.#read(shared.subarray(0, size)); return true; } },
    });
    this.#socket.on('error', (error) => this.#failed(error));
    this.#socket.on('close', () => {
      if (this.#closing) this.#onClosed?.();
      else this.#failed(new Error('the server closed the connection'));
    });
    this.#socket.write([
      `GET ${dialect.path} HTTP/1.1`,
      `Host: 127.0.0.1:${port}`,
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ...(compression ? ['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits'] : []),
      '',
      '',
    ].join('\r\n'));
  }

  /** Resolves when it may send. @param localAddress its own address, because one address has too few ports */
  static async connect(address: Address, localAddress?: string): Promise<Client> {
    const client = await new Promise<Client>((resolve, reject) => {
      const made: Client = new Client(address, localAddress, reject, () => resolve(made));
    });
    const { greeting } = address.dialect;
    if (greeting !== undefined) {
      await client.#welcome;
      const welcomed = client.collect(1);
      client.send(textFrame(greeting));
      await welcomed;
    }
    // From here on, a failure ends the benchmark.
    client.#failed = (error) => { throw error; };
    return client;
  }

  send(bytes: Buffer): void { this.#socket.write(bytes); }

  /** Reads the next messages, and stores their lengths for expectSame(). */
  collect(count: number): Promise<string[]> {
    const texts: string[] = (this.#texts = []);
    this.#sizes = [];
    return new Promise<string[]>((resolve) => {
      this.#collected = () => {
        if (texts.length < count) return;
        this.#texts = undefined;
        this.#collected = undefined;
        resolve(texts);
      };
    });
  }

  /** From now on, a message with another length than those that were read is an error. */
  expectSame(): void {
    // The compressed length of ids and times varies by a few bytes.
    const slack = this.#compression ? 0.1 : 0;
    this.#shortest = Math.min(...this.#sizes) * (1 - slack);
    this.#longest = Math.max(...this.#sizes) * (1 + slack);
  }

  /** Closes with a closing handshake. */
  async close(): Promise<void> {
    this.#closing = true;
    await new Promise<void>((resolve) => {
      this.#onClosed = resolve;
      this.send(closeFrame(1000));
    });
  }

  destroy(): void {
    this.#closing = true;
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#inHead) {
      const rest = this.#readHead(chunk);
      if (!rest) return;
      chunk = rest;
    }
    this.#count = 0;
    this.#reader.read(chunk, this);
    this.#collected?.();
    if (this.#count > 0) this.onMessages(this.#count);
  }

  #readHead(chunk: Buffer): Buffer | undefined {
    const before = this.#head.length;
    this.#head += chunk.toString('latin1');
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    const head = this.#head.slice(0, end);
    this.#inHead = false;
    this.#head = '';
    if (!head.startsWith('HTTP/1.1 101') || !head.includes('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')) {
      this.#failed(new Error(`the server answered the handshake with ${head}`));
    } else if (/permessage-deflate/i.test(head) !== this.#compression) {
      this.#failed(new Error('the server negotiated the wrong compression'));
    } else {
      this.#opened();
    }
    return chunk.subarray(end + 4 - before);
  }

  message(bytes: Buffer, start: number, end: number, compressed: boolean): void {
    const size = end - start;
    const { ping } = this.#dialect;
    if (size === 1 && ping?.asked === bytes.toString('latin1', start, end)) return this.send(textFrame(ping.answer));
    if (size < this.#shortest || size > this.#longest) {
      const text = bytes.toString('latin1', start, end).slice(0, 500);
      throw new Error(`a message has ${size} bytes instead of ${this.#shortest} to ${this.#longest}: ${text}`);
    }
    this.#count++;
    if (!this.#texts) return;
    if (this.#compression && size > WORTH_COMPRESSING && !compressed) throw new Error('a message is not compressed');
    this.#sizes.push(size);
    const payload = bytes.subarray(start, end);
    this.#texts.push((compressed ? inflate(payload) : payload).toString());
  }

  control(opcode: number, payload: Buffer): void {
    if (opcode === PING) this.send(pongFrame(payload));
    else if (opcode === CLOSE && !this.#closing) {
      throw new Error(`the server closed with ${payload.readUInt16BE(0)} ${payload.toString('utf8', 2)}`);
    }
  }
}

const inflate = (payload: Buffer): Buffer =>
  inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH });
