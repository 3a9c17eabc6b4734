// The entry point for Node: the same client, with the package `ws` where there is no global WebSocket.
import WebSocket from 'ws';
import { setFallbackWebSocket } from './default-socket.ts';

setFallbackWebSocket(WebSocket);

export * from './index.ts';
export { default, default as 'module.exports' } from './index.ts';
