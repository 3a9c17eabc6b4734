import { createHash, randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { cleanup } from './cleanup.ts';
import { CLOSE, type Frame, frame, frameReader } from './frames.ts';

/** Where a server under test listens. */
export interface Address {
  readonly port: number;
  /** @default '127.0.0.1' */
  readonly host?: string;
  /** @default '/ws' */
  readonly path?: string;
}

export interface RawOptions {
  /** The loopback address to come from. */
  readonly localAddress?: string;
  /** Answer the server's close frame with our own, and end. @default true */
  readonly answerClose?: boolean;
}

export interface HandshakeOptions {
  readonly method?: string;
  readonly version?: string;
  /** Replaces the header of that name; `undefined` leaves it out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Raw lines put after the headers, as they are. */
  readonly lines?: readonly string[];
}

export interface RawResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The head as it came, for a look at what is in it. */
  readonly head: string;
}

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const open = new Set<Socket>();

/** The deadline of a test that names none: long enough for a busy machine, short enough to fail. */
export const DEADLINE = 8_000;

/** The bytes of an upgrade request, every one of them in the caller's hands. */
export function handshake(address: Address, options: HandshakeOptions = {}): string {
  const headers: Record<string, string | undefined> = {
    'Host': `${address.host ?? '127.0.0.1'}:${address.port}`,
    'Upgrade': 'websocket',
    'Connection': 'Upgrade',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    'Sec-WebSocket-Version': '13',
    ...options.headers,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) => value === undefined ? [] : [`${name}: ${value}`]);
  const first = `${options.method ?? 'GET'} ${address.path ?? '/ws'} ${options.version ?? 'HTTP/1.1'}`;
  return [first, ...lines, ...options.lines ?? [], '', ''].join('\r\n');
}

/** The accept header that a server must answer to a key. */
export function acceptOf(key: string): string {
  return createHash('sha1').update(key + GUID).digest('base64');
}

function destroyAll(): void {
  for (const socket of open) socket.destroy();
  open.clear();
}

/** A TCP connection that sends the given bytes and keeps what it receives. Destroyed when the test is over. */
export async function raw(address: Address, options: RawOptions = {}) {
  const socket = connect({
    port: address.port, host: address.host ?? '127.0.0.1', noDelay: true, allowHalfOpen: true,
    ...options.localAddress !== undefined && { localAddress: options.localAddress },
  });
  if (open.size === 0) cleanup(destroyAll);
  open.add(socket);
  await new Promise<void>((resolve, reject) => { socket.once('connect', resolve); socket.once('error', reject); });

  const read = frameReader();
  const frames: Frame[] = [];
  let head = Buffer.alloc(0);
  let response: RawResponse | undefined;
  let ended = false;
  let received = 0;
  const waiting = new Set<() => void>();
  const tell = () => { for (const check of [...waiting]) check(); };

  socket.on('error', () => { /* a reset is an end like another; 'close' follows */ });
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
    let rest = chunk;
    if (response === undefined) {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      response = parseHead(head.toString('latin1', 0, end));
      rest = head.subarray(end + 4);
    }
    if (response.status === 101 && rest.length > 0) take(read(rest));
    tell();
  });
  socket.on('end', () => { ended = true; socket.end(); tell(); });
  socket.on('close', () => { ended = true; open.delete(socket); tell(); });

  function take(more: Frame[]): void {
    frames.push(...more);
    const closing = more.find((one) => one.opcode === CLOSE);
    if (closing && (options.answerClose ?? true) && !socket.writableEnded) {
      socket.end(
        frame(CLOSE, closing.payload.subarray(0, 2)),
      );
    }
  }

  /** Waits for a condition that a byte or an end can make true. Rejects at the deadline. */
  function until(what: string, holds: () => boolean, deadline = DEADLINE): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(check);
        const state = `status ${response?.status ?? 'none'}, ${frames.length} frames, ended ${ended}`;
        reject(new Error(`waited ${deadline} ms for ${what}; ${state}`));
      }, deadline);
      const check = () => {
        if (!holds()) return;
        clearTimeout(timer);
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
    });
  }

  return {
    socket,
    frames,
    get response() { return response; },
    /** Whether the other side has ended or the socket is gone. */
    get ended() { return ended; },
    /** Bytes heard so far. */
    get received() { return received; },
    until,
    /** Sends bytes, whole or in pieces of `size` with a turn of the event loop between them. */
    async write(bytes: Buffer | string, size?: number): Promise<void> {
      const buffer = Buffer.from(bytes as string, 'latin1');
      for (let at = 0; at < buffer.length && !socket.writableEnded && !socket.destroyed; at += size ?? buffer.length) {
        socket.write(buffer.subarray(at, at + (size ?? buffer.length)));
        if (size !== undefined) await turn();
      }
    },
    /** Waits for the head of the HTTP answer. `undefined` if the server ends without one. */
    async answer(deadline = DEADLINE): Promise<RawResponse | undefined> {
      await until('an HTTP answer', () => response !== undefined || ended, deadline);
      return response;
    },
    /** Waits for the server's end of the connection. */
    async end(deadline = DEADLINE): Promise<void> {
      await until('the end', () => ended, deadline);
    },
    destroy(): void { socket.destroy(); },
    /** Resets: no TIME_WAIT is left behind, so that thousands of connections don't use up the ports. */
    reset(): void {
      // Node cannot reset a socket whose end is on its way, and would keep its handle.
      if (socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    },
  };
}

export type Raw = Awaited<ReturnType<typeof raw>>;

/** A raw connection after a good handshake. Throws when the server refuses it. */
export async function rawWebSocket(address: Address, options: RawOptions & HandshakeOptions = {}): Promise<Raw> {
  const client = await raw(address, options);
  await client.write(handshake(address, options));
  const answer = await client.answer();
  if (answer?.status !== 101) throw new Error(`the server answered ${answer?.status ?? 'nothing'} to the handshake`);
  return client;
}

function parseHead(text: string): RawResponse {
  const [first = '', ...lines] = text.split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { status: Number(first.split(' ')[1]), headers, head: text };
}
