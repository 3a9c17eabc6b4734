import { ClientError } from './client-error.ts';
import { ClientEventEmitter } from './client-event-emitter.ts';
import { WebSocketClient } from './websocket-client.ts';

export type { ClientErrorCode } from './client-error.ts';
export type {
  AuthConfig, ClientConfig, DebugConfig, HeartbeatConfig, Logger, LogLevel, QueueConfig, ReconnectConfig,
} from './config.ts';
export type { ConnectionState, ConnectionStatus } from './connection-state.ts';
export type { WebSocketClass, WebSocketLike } from './default-socket.ts';
export type { Phase, Step } from './phases.ts';
export type { MessageStream, StreamOptions } from './message-stream.ts';
export type { RoomMembership } from './room-membership.ts';
export type { Priority, QueuedMessage, SendOptions } from './send-queue.ts';
export type { ClientEvents, RequestOptions, ServerMessage } from './client-types.ts';
export type { Sendable } from './frames.ts';
export { ClientError, ClientEventEmitter, WebSocketClient };

/** All exports as one object, which `require('websocket-module/client')` returns. */
const client = { ClientError, ClientEventEmitter, WebSocketClient };

export { client as default, client as 'module.exports' };
