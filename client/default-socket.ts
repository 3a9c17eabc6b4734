/** The members of a WebSocket that the client uses. Browsers, Node 22 and the package `ws` have them. */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(data: any): void;
  close(code?: number, reason?: string): void;
}

/** Opens connections: the global `WebSocket`, or the class of the package `ws`. */
export type WebSocketClass = new (url: string, protocols?: string[]) => WebSocketLike;

let fallback: WebSocketClass | undefined;

/** Sets the class for platforms without a global `WebSocket`, such as Node 20. */
export function setFallbackWebSocket(given: WebSocketClass): void {
  fallback = given;
}

/** The global `WebSocket`, or the fallback. Read at each attempt, because tests and polyfills replace the global. */
export const defaultWebSocket = (): WebSocketClass | undefined =>
  (globalThis as { WebSocket?: WebSocketClass | undefined }).WebSocket ?? fallback;
