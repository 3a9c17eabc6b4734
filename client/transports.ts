import type { ChoicePort, Transport, TransportChoice } from './transport-choice.ts';
import { openSocket, type OpeningSocket, type SocketListeners } from './open-socket.ts';
import type { Settings } from './settings.ts';

/** How connections are opened: by WebSocket, or, with `transport.polling`, by what the choice says. */
export class Transports {
  readonly #settings: Settings;
  readonly #port: Omit<ChoicePort, 'open' | 'greeting'>;
  #choice: TransportChoice | undefined;

  constructor(settings: Settings, port: Omit<ChoicePort, 'open' | 'greeting'>) {
    this.#settings = settings;
    this.#port = port;
  }

  /** What is told of the connection. `undefined` without `transport.polling`. */
  get choice(): TransportChoice | undefined { return this.#choice; }
  /** The transport of the present attempt or connection. */
  get current(): Transport { return this.#choice?.transport ?? 'websocket'; }
  /** The milliseconds within which the server must send a first frame. */
  get deadline(): number { return this.#choice?.deadline ?? this.#settings.connectTimeout; }

  /** Loads the choice, before the first attempt. Resolves also if that fails: then a WebSocket is opened. */
  load(): Promise<void> | undefined {
    const { transport, connectTimeout, heartbeat } = this.#settings;
    if (this.#choice || !transport.polling.enabled) return undefined;
    return import('./polling.ts').then((module) => {
      this.#choice ??= new module.TransportChoice({ ...transport, connectTimeout }, {
        ...this.#port,
        greeting: heartbeat.enabled ? JSON.stringify({ ...heartbeat.pingMessage, id: 'hello' }) : undefined,
        open: (token, listeners) => openSocket(this.#settings, token, listeners),
      });
    }, () => undefined);
  }

  /** Opens a connection. @throws if the URL or a subprotocol is invalid, or there is no transport */
  open(token: string | undefined, listeners: SocketListeners): OpeningSocket {
    if (!this.#choice && !this.#settings.transport.websocket.enabled) {
      throw new Error('the code of long polling was not loaded');
    }
    return openSocket(this.#settings, token, listeners, this.#choice?.next());
  }
}
