import type { WebSocketManager } from '../../index.ts';

/** What the benchmark's application does, on this package. */
export function application(manager: WebSocketManager): void {
  manager.registerHandler('echo', (message) => message.content);
  manager.registerHandler('save', () => undefined);
  manager.registerHandler('broadcast', ({ type, content }) => void manager.broadcast({ type, content }));
  manager.registerHandler('join', ({ content }, connection) => {
    manager.subscribe(connection.id, content.room);
    return content;
  });
  manager.registerHandler('say', ({ type, content }) => void manager.publish(content.room, { type, content }));
}
