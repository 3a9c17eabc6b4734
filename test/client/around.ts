import sinon from 'sinon';
import { WebSocket as NodeWebSocket } from 'ws';
import { WebSocketClient, type ClientConfig, type WebSocketClass } from '../../client/index.ts';
import { cleanup } from '../support/cleanup.ts';

/** A client of a real server. Disconnected when the test is over. */
export function clientOf(config: Partial<ClientConfig> & { readonly url: string }): WebSocketClient {
  const client = new WebSocketClient({ WebSocket: NodeWebSocket, debug: { logger: silent }, ...config });
  cleanup(() => client.disconnect());
  return client;
}

const nothing = (): void => undefined;
export const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** Resolves with the arguments of the next event. */
export function next(client: WebSocketClient, event: string): Promise<any[]> {
  return new Promise((resolve) => { client.once(event, (...args: any[]) => resolve(args)); });
}

/** Resolves when the client enters a phase. */
export function phase(client: WebSocketClient, wanted: string): Promise<void> {
  return new Promise((resolve) => {
    if (client.phase === wanted) return resolve();
    const remove = client.on('state', ({ phase: now }) => {
      if (now !== wanted) return;
      remove();
      resolve();
    });
  });
}

type Message = Readonly<Record<string, any>>;

/** One WebSocket of a scripted network. The test plays the server. */
export class FakeSocket {
  binaryType = '';
  readyState = 0;
  bufferedAmount = 0;
  onopen: ((event: any) => void) | null = null;
  onmessage: ((event: any) => void) | null = null;
  onclose: ((event: any) => void) | null = null;
  onerror: ((event: any) => void) | null = null;
  /** What the client sent. */
  readonly sent: Message[] = [];
  readonly url: string;
  readonly protocols: string[];
  closedWith: number | undefined;
  answersPings = true;
  /** What the server has. */
  features: readonly string[] = [];

  constructor(url: string, protocols: string[]) {
    this.url = url;
    this.protocols = protocols;
  }

  send(data: string | Uint8Array): void {
    if (typeof data !== 'string') return void this.sent.push({ type: 'binary', content: data });
    const message = JSON.parse(data) as Message;
    this.sent.push(message);
    if (message['type'] === 'recover') queueMicrotask(() => this.answerRecover(message));
    if (message['type'] === 'ping' && this.answersPings) queueMicrotask(() => this.receive({ type: 'pong', replyTo: message['id'], meta: { features: this.features } }));
  }

  /** As a server without the plugin `recovery`. */
  answerRecover({ id }: Message): void {
    this.receive({ type: 'error', replyTo: id, content: { code: 'UNKNOWN_TYPE' } });
  }

  close(code?: number): void {
    this.closedWith ??= code ?? 1005;
    this.readyState = 2;
  }

  open(): this {
    this.readyState = 1;
    this.onopen?.({});
    return this;
  }

  receive(message: object | string): void {
    this.onmessage?.({ data: typeof message === 'string' ? message : JSON.stringify(message) });
  }

  /** The server closes, or the network fails. */
  end(code = 1006, reason = ''): void {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  /** The messages of the application. */
  get messages(): Message[] { return this.sent.filter(({ type }) => !['ping', 'auth', 'recover'].includes(type as string)); }
}

export interface FakeNetwork {
  readonly WebSocket: WebSocketClass;
  readonly sockets: readonly FakeSocket[];
  readonly last: FakeSocket;
}

/** A network whose sockets open when the test says so. */
export function fakeNetwork(): FakeNetwork {
  const sockets: FakeSocket[] = [];
  class Socket extends FakeSocket {
    constructor(url: string, protocols: string[] = []) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  return { WebSocket: Socket, sockets, get last() { return sockets.at(-1)!; } };
}

let isFrozen = false;

/** Time stands still for what is handed out, however slow the machine is: messages never wait for another turn. */
function freezeBudget(): void {
  // Fake timers have stopped it already.
  if (isFrozen || 'clock' in setTimeout) return;
  isFrozen = true;
  const now = performance.now();
  const stub = sinon.stub(performance, 'now').returns(now);
  cleanup(() => {
    isFrozen = false;
    stub.restore();
  });
}

/** A client in a scripted network. */
export function fakeClient(config: Partial<ClientConfig> = {}): { client: WebSocketClient; network: FakeNetwork } {
  freezeBudget();
  const network = fakeNetwork();
  const client = clientOf({ url: 'ws://example.com', WebSocket: network.WebSocket, ...config });
  return { client, network };
}

/** A connected client in a scripted network. */
export async function connected(
  config: Partial<ClientConfig> = {}, greet: (socket: FakeSocket) => void = () => undefined,
): Promise<{ client: WebSocketClient; network: FakeNetwork; socket: FakeSocket }> {
  const { client, network } = fakeClient(config);
  const done = client.connect();
  greet(network.last.open());
  await done;
  return { client, network, socket: network.last };
}

/** Lets all promises settle that need no timer. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}
