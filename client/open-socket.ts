import { defaultWebSocket, type WebSocketClass, type WebSocketLike } from './default-socket.ts';
import type { Settings } from './settings.ts';

export interface SocketListeners {
  readonly open: () => void;
  readonly frame: (data: unknown) => void;
  readonly end: (code: number, reason: string) => void;
}

/** A connection that opens. */
export interface OpeningSocket {
  readonly socket: WebSocketLike;
  /** What the WebSocket said about its failure. Browsers say nothing. */
  failure: string;
}

/**
 * Opens a WebSocket, or a socket of another class, with the token where the options say.
 * @throws if the URL or a subprotocol is invalid
 */
export function openSocket(
  { url, auth: { via }, protocols, ...settings }: Settings, token: string | undefined,
  { open, frame, end }: SocketListeners, other?: WebSocketClass,
): OpeningSocket {
  const WebSocket = other ?? settings.WebSocket ?? defaultWebSocket();
  if (!WebSocket) throw new Error('there is no WebSocket on this platform; set the option WebSocket');
  const query = token && via === 'query' ? `${url.includes('?') ? '&' : '?'}token=${encodeURIComponent(token)}` : '';
  const offered = [...protocols];
  if (token && via === 'protocol') {
    // The server chooses a real one: browsers close the connection if it chooses none.
    if (offered.length === 0) offered.push('json');
    offered.unshift(`bearer.${token}`);
  }
  const socket = new WebSocket(url + query, offered);
  const opening: OpeningSocket = { socket, failure: '' };
  socket.binaryType = 'arraybuffer';
  let isOpening = true;
  socket.onopen = () => {
    isOpening = false;
    open();
  };
  socket.onmessage = ({ data }: { data: unknown }) => frame(data);
  socket.onclose = ({ code, reason }: { code: number; reason: string }) => end(code, reason);
  // Stays set for ever: the package `ws` throws an error that has no listener.
  socket.onerror = ({ message }: { message?: unknown }) => {
    if (typeof message === 'string') opening.failure = message;
    // Node 22 reports a failed handshake by an error alone, without a close.
    if (isOpening) setTimeout(() => end(1006, ''), 0);
  };
  return opening;
}
