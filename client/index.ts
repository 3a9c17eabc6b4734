import { MessageAdapter, MessageSerializer } from './chat-messages.ts';
import { ClientError } from './client-error.ts';
import { ClientEventEmitter } from './client-event-emitter.ts';
import { MessageEventHandler } from './message-event-handler.ts';
import { MessageQueue } from './message-queue.ts';
import { WebSocketClient } from './websocket-client.ts';
import { WebSocketConnection } from './websocket-connection.ts';
import { WebSocketManager, wsManager } from './websocket-manager.ts';

export type { ChatMessage, MessageType, SystemMessage, TypingMessage, WebSocketMessage } from './chat-messages.ts';
export type { ClientErrorCode } from './client-error.ts';
export type { ClientEvents, HistoryRange, RequestOptions, ServerMessage, SubscribeOptions } from './client-types.ts';
export type {
  AuthConfig, ClientConfig, DebugConfig, HeartbeatConfig, Logger, LogLevel, PollingConfig, QueueConfig,
  ReconnectConfig,
} from './config.ts';
export type { ConnectionState, ConnectionStatus } from './connection-state.ts';
export type { WebSocketClass, WebSocketLike } from './default-socket.ts';
export type { OutgoingMessage, Sendable } from './frames.ts';
export type { Missed, MissedReason } from './missed.ts';
export type { MessageHandler } from './message-event-handler.ts';
export type { MessageQueueOptions } from './message-queue.ts';
export type { MessageStream, StreamOptions } from './message-stream.ts';
export type { Phase, Step } from './phases.ts';
export type { JoinOptions, RoomMembership } from './room-membership.ts';
export type { Priority, QueuedMessage, SendOptions } from './send-queue.ts';
export type { Position } from './topic-positions.ts';
export type { Transport } from './transport-choice.ts';
export type { Subscriber } from './websocket-manager.ts';
export {
  ClientError, ClientEventEmitter, MessageAdapter, MessageEventHandler, MessageQueue, MessageSerializer,
  WebSocketClient, WebSocketConnection, WebSocketManager, wsManager,
};

/** All exports as one object, which `require('websocket-module/client')` returns. */
const client = {
  ClientError, ClientEventEmitter, MessageAdapter, MessageEventHandler, MessageQueue, MessageSerializer,
  WebSocketClient, WebSocketConnection, WebSocketManager, wsManager,
};

export { client as default, client as 'module.exports' };
