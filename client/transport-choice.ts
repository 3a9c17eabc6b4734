// Loaded only by clients with `transport.polling`. It imports no code that the rest of the client uses: a bundler would
// put that into a third file.
import type { WebSocketClass } from './default-socket.ts';
import type { OpeningSocket, SocketListeners } from './open-socket.ts';
import { PollingSocket, type PollingOptions } from './polling-socket.ts';

export type Transport = 'websocket' | 'polling';

/** What the choice needs of the connection. */
export interface ChoicePort {
  /** A token for a connection that only tries WebSocket. */
  token(): Promise<string | undefined>;
  /** Opens a WebSocket. @throws if the URL or a subprotocol is invalid */
  open(token: string | undefined, listeners: SocketListeners): OpeningSocket;
  /** The message to which the server answers with a first frame. `undefined` if it answers none. */
  readonly greeting: string | undefined;
  /** Whether the connection may be replaced now: nothing waits, and the session follows. `undefined`: it never may. */
  canSwitch(): boolean | undefined;
  switchNow(why: string): void;
}

interface ChoiceOptions {
  readonly websocket: { readonly enabled: boolean };
  readonly polling: PollingOptions;
  readonly connectTimeout: number;
}

/** Milliseconds for which it is remembered that WebSocket does not pass. */
const MEMORY = 1_800_000;
/** The first frame must come in this time, in milliseconds, where no WebSocket has passed yet. */
const EARLY = 5_000;
/** Milliseconds after which a connection by polling looks whether WebSocket really does not pass. */
const VERIFY = 2_000;
const LOOK_AGAIN = 200;
/** The least time between two such looks, in milliseconds: browsers report changes of the network often. */
const MIN_GAP = 60_000;

/** Whether the attempt after so many failed ones takes the other transport: 1, 3, 7, 15, and then every 16th. */
const isTurn = (failures: number): boolean => (
  failures < 16 ? (failures & (failures + 1)) === 0 : failures % 16 === 15
);

/**
 * Chooses the transport of each attempt. WebSocket comes first. Browsers do not tell a proxy that blocks it from a
 * server that is down, so the next attempt takes long polling, in the place of one with WebSocket. When polling works,
 * a second look at WebSocket decides: only if it fails while the server answers by HTTP, WebSocket is avoided for half
 * an hour.
 */
export class TransportChoice {
  readonly #options: ChoiceOptions;
  readonly #port: ChoicePort;
  /** The transport of the present attempt or connection. */
  #transport: Transport = 'websocket';
  /** Until when WebSocket is avoided. */
  #blockedUntil = 0;
  /** Whether a WebSocket has passed on this network. */
  #isProven = false;
  /** Attempts in a row that failed. */
  #failures = 0;
  #hasHeard = false;
  #isUp = false;
  #lastLook = -Infinity;
  #nextLook = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #endLook: (() => void) | undefined;

  constructor(options: ChoiceOptions, port: ChoicePort) {
    this.#options = options;
    this.#port = port;
  }

  get transport(): Transport { return this.#transport; }

  /** The milliseconds within which the server must send a first frame. */
  get deadline(): number {
    const { connectTimeout } = this.#options;
    return this.#transport === 'polling' || this.#isProven ? connectTimeout : Math.min(EARLY, connectTimeout);
  }

  get #isBlocked(): boolean {
    const left = this.#blockedUntil - Date.now();
    // More than that: the clock of the device was set back.
    return left > 0 && left <= MEMORY;
  }

  /** Chooses for a new attempt. Returns the class to open, or `undefined` for a WebSocket. */
  next(): WebSocketClass | undefined {
    const { websocket, polling } = this.#options;
    this.#hasHeard = false;
    this.#transport = websocket.enabled && !this.#isBlocked ? 'websocket' : 'polling';
    // One failure of a transport that worked here is more likely one of the server.
    const least = this.#isProven || this.#isBlocked ? 3 : 1;
    if (websocket.enabled && this.#failures >= least && isTurn(this.#failures)) {
      this.#transport = this.#transport === 'polling' ? 'websocket' : 'polling';
    }
    if (this.#transport === 'websocket') return undefined;
    return class extends PollingSocket {
      constructor(url: string, protocols: string[] = []) { super(url, protocols, polling); }
    };
  }

  /** A frame came. */
  heard(): void {
    if (this.#hasHeard) return;
    this.#hasHeard = true;
    if (this.#transport === 'websocket') this.#passes();
  }

  /** The server accepted the connection. */
  up(): void {
    this.#isUp = true;
    this.#failures = 0;
    if (this.#transport === 'websocket') this.#passes();
    else if (this.#options.websocket.enabled) {
      this.#lookIn(this.#isBlocked ? this.#blockedUntil - Date.now() : VERIFY * (1 + Math.random()));
    }
  }

  /** The connection was lost, or the attempt failed. Any close code but 1006 comes from the server. */
  lost(code = 1006): void {
    if (this.#isUp || this.#hasHeard) this.#failures = 0;
    else if (code === 1006) this.#failures++;
    else if (this.#transport === 'websocket') this.#passes();
    this.stop();
  }

  /** The device is in another network. */
  networkChanged(): void {
    this.#isProven = false;
    this.#blockedUntil = this.#failures = 0;
    // A look that began in the other network tells nothing.
    this.#endLook?.();
    if (this.#isUp && this.#transport === 'polling' && this.#options.websocket.enabled) {
      const delay = Math.max(VERIFY * (1 + Math.random()), this.#lastLook + MIN_GAP - Date.now());
      // Many changes in a row must not put it off for ever.
      if (this.#nextLook > Date.now() + delay) this.#lookIn(delay);
    }
  }

  /** The connection has ended. */
  stop(): void {
    this.#isUp = false;
    this.#nextLook = Infinity;
    clearTimeout(this.#timer);
    this.#endLook?.();
  }

  #passes(): void {
    this.#isProven = true;
    this.#blockedUntil = this.#failures = 0;
  }

  #lookIn(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#nextLook = Date.now() + milliseconds;
    this.#timer = setTimeout(() => void this.#look(), milliseconds);
  }

  /** Looks whether WebSocket passes, while the connection goes on. */
  async #look(): Promise<void> {
    this.#nextLook = Infinity;
    if (this.#endLook) return;
    this.#lastLook = Date.now();
    const passes = await this.#tryWebSocket();
    if (!this.#isUp) return;
    if (passes === undefined) return this.#lookIn(MIN_GAP);
    if (passes) {
      this.#passes();
      return this.#switch();
    }
    this.#blockedUntil = Date.now() + MEMORY;
    this.#lookIn(MEMORY);
  }

  /** Replaces the connection when it is idle. Without a session messages could be lost: the next reconnect does it. */
  #switch(): void {
    const can = this.#port.canSwitch();
    if (can) this.#port.switchNow('WebSocket passes again');
    else if (can === false) this.#timer = setTimeout(() => this.#switch(), LOOK_AGAIN);
  }

  /** Resolves with `undefined` if it cannot be known. */
  #tryWebSocket(): Promise<boolean | undefined> {
    const { greeting } = this.#port;
    return new Promise((resolve) => {
      let opening: OpeningSocket | undefined;
      let timer: ReturnType<typeof setTimeout> | undefined;
      const end = (passes?: boolean): void => {
        if (this.#endLook !== cancel) return;
        this.#endLook = undefined;
        clearTimeout(timer);
        opening?.socket.close(1000);
        resolve(passes);
      };
      const cancel = this.#endLook = (): void => end();
      this.#port.token().then((token) => {
        if (this.#endLook !== cancel) return;
        timer = setTimeout(() => end(false), this.deadline);
        opening = this.#port.open(token, {
          open: () => {
            if (greeting === undefined) end(true);
            else opening?.socket.send(greeting);
          },
          frame: () => end(true),
          end: (code) => end(code !== 1006),
        });
      }).catch(cancel);
    });
  }
}
