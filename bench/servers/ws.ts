import { randomUUID } from 'node:crypto';
import { WebSocket, WebSocketServer } from 'ws';
import { deflate } from './deflate.ts';
import { serve } from './serve.ts';

interface Client extends WebSocket { isAlive?: boolean }

/** The same application, written by hand on `ws` by an expert. */
serve((server, { compression }) => {
  const perMessageDeflate = compression ? deflate : false;
  const wss = new WebSocketServer<typeof WebSocket & (new () => Client)>({ server, path: '/ws', perMessageDeflate });
  const rooms = new Map<string, Set<WebSocket>>();

  const envelope = (type: string, content: unknown, replyTo?: string): string =>
    JSON.stringify({ id: randomUUID(), type, content, timestamp: new Date().toISOString(), replyTo });

  const sendTo = (clients: Iterable<WebSocket>, data: string): void => {
    for (const client of clients) if (client.readyState === WebSocket.OPEN) client.send(data);
  };

  wss.on('connection', (client) => {
    client.isAlive = true;
    client.on('pong', () => { client.isAlive = true; });
    client.on('error', console.error);
    client.on('close', () => { for (const members of rooms.values()) members.delete(client); });
    client.on('message', (data) => {
      let message;
      try {
        // eslint-disable-next-line @typescript-eslint/no-base-to-string -- a Buffer, as `binaryType` is not changed
        message = JSON.parse(data.toString());
      } catch {
        client.send(envelope('error', { code: 'INVALID_JSON' }));
        return;
      }
      const { id, type, content, ack } = message;
      switch (type) {
        case 'echo':
          client.send(envelope('echo', content, id));
          break;
        case 'save':
          if (ack) client.send(envelope('ack', undefined, id));
          break;
        case 'broadcast':
          sendTo(wss.clients, envelope('broadcast', content));
          break;
        case 'join': {
          const members = rooms.get(content.room) ?? new Set();
          rooms.set(content.room, members.add(client));
          client.send(envelope('join', content, id));
          break;
        }
        case 'say':
          sendTo(rooms.get(content.room) ?? [], envelope('say', content));
          break;
        default:
          client.send(envelope('error', { code: 'UNKNOWN_TYPE' }, id));
      }
    });
  });

  // https://github.com/websockets/ws#how-to-detect-and-close-broken-connections
  setInterval(() => {
    for (const client of wss.clients) {
      if (client.isAlive === false) {
        client.terminate();
        continue;
      }
      client.isAlive = false;
      client.ping();
    }
  }, 30_000);
});
