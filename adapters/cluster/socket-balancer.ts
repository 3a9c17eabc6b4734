import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { isRecord } from '../../src/index.ts';

/** The field of the message with which a worker says that it accepts assigned connections. */
export const READY = 'websocket-module:ready';
/** The field of the messages with which the primary assigns connections. */
const ASSIGNED = 'websocket-module:socket';

export const isReady = (message: unknown): boolean => isRecord(message) && message[READY] === true;
export const isAssigned = (message: unknown): boolean => isRecord(message) && message[ASSIGNED] === true;

/** A worker process that accepts connections. */
export interface Acceptor { send(message: object, socket: Socket, callback: (error: Error | null) => void): unknown }

/** Listens in the primary, and assigns all connections of one address to the same worker, as long as it runs. */
export class SocketBalancer {
  readonly #server: Server;

  /** @param workers the worker of each place; `undefined` for a place whose worker is starting */
  constructor(workers: () => readonly (Acceptor | undefined)[]) {
    // The worker reads the first byte.
    this.#server = createServer({ pauseOnConnect: true }, (socket) => {
      const fail = (): void => { socket.destroy(); };
      socket.on('error', fail);
      const places = workers();
      const worker = places[placeOf(socket.remoteAddress ?? '', places)];
      if (!worker) return fail();
      worker.send({ [ASSIGNED]: true }, socket, (error) => { if (error) fail(); });
    });
  }

  /** The port that it listens on. */
  get port(): number | undefined {
    const address = this.#server.address();
    return typeof address === 'object' && address ? address.port : undefined;
  }

  async listen(port: number, host: string | undefined): Promise<void> {
    this.#server.listen(port, host);
    await once(this.#server, 'listening');
  }

  close(): void { this.#server.close(); }
}

/** Highest random weight: if the worker of one place is missing, only its addresses go to others. */
function placeOf(address: string, places: readonly unknown[]): number {
  let best = -1;
  let highest = -1;
  for (const [place, worker] of places.entries()) {
    const weight = hash(`${address} ${place}`);
    if (worker !== undefined && weight > highest) [best, highest] = [place, weight];
  }
  return best;
}

/** FNV-1a, then mixed, so that texts which differ in the last character have unlike weights. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  return (value ^ (value >>> 13)) >>> 0;
}
