import { fail } from './client-error.ts';
import { newId } from './ids.ts';

/** The kinds of messages of a chat. */
export type MessageType = 'text' | 'image' | 'file' | 'audio' | 'system' | 'typing' | 'read' | 'heartbeat';

/** A message of a chat: `type` is its kind, `action` what it is about. */
export interface WebSocketMessage {
  id: string;
  type: MessageType;
  action: string;
  data: any;
  /** Milliseconds since the epoch. */
  timestamp: number;
  sender?: { id: string; name: string; avatar?: string | undefined } | undefined;
}

export interface ChatMessage extends WebSocketMessage {
  type: 'text' | 'image' | 'file' | 'audio';
  conversationId: string;
  content: string;
  replyTo?: string | undefined;
}

export interface TypingMessage extends WebSocketMessage {
  type: 'typing';
  conversationId: string;
  isTyping: boolean;
}

export interface SystemMessage extends WebSocketMessage {
  type: 'system';
  level: 'info' | 'warning' | 'error';
  title: string;
  message: string;
}

/** Converts between what an application works with and messages. */
export class MessageAdapter {
  static toWebSocketMessage(action: string, data: unknown, type: MessageType = 'text'): WebSocketMessage {
    return { id: newId(), type, action, data, timestamp: Date.now() };
  }

  /**
   * The content and the conversation of a text, image, file or audio message, the level and text of a system message,
   * and the data of others.
   */
  static fromWebSocketMessage(message: WebSocketMessage): any {
    const { type, data } = message;
    if (type === 'text') return { ...message, content: data.content, conversationId: data.conversationId };
    if (type === 'image' || type === 'file' || type === 'audio') {
      return { ...message, content: data.url, conversationId: data.conversationId };
    }
    if (type === 'system') return { ...message, level: data.level, title: data.title, message: data.message };
    return data;
  }
}

/** Writes messages as JSON, and checks those that it reads. */
export class MessageSerializer {
  /** With the present time as timestamp. */
  static serialize(message: WebSocketMessage): string {
    try {
      return JSON.stringify({ ...message, timestamp: Date.now() });
    } catch (error) {
      throw fail('MESSAGE_INVALID', 'the message cannot be encoded', {}, error);
    }
  }

  /** @throws {ClientError} MESSAGE_INVALID if it has no `id`, `type` or `action` */
  static deserialize(data: string): WebSocketMessage {
    let message: Partial<WebSocketMessage> | null;
    try {
      message = JSON.parse(data) as Partial<WebSocketMessage> | null;
    } catch (error) {
      throw fail('MESSAGE_INVALID', 'the message is not JSON', {}, error);
    }
    if (message?.id && message.type && message.action) return message as WebSocketMessage;
    throw fail('MESSAGE_INVALID', 'a message needs an id, a type and an action');
  }
}
