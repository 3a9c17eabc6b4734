import { WebSocketModule } from '../../index.ts';
import { RedisAdapter } from '../../adapters/redis.ts';
import { serveNode } from './serve.ts';

/** Rooms with members on this node. */
const rooms = new Set<string>();
/** Packets to rooms without members on this node. */
let strays = 0;

/** A node of this package. */
serveNode(async (server, { url }) => {
  const adapter = new RedisAdapter({ url });
  const start = adapter.start.bind(adapter);
  adapter.start = (node) => start({
    ...node,
    receive(topic, packet) {
      if (topic.startsWith('room-') && !rooms.has(topic)) strays++;
      node.receive(topic, packet);
    },
  });
  const manager = WebSocketModule.create({ server, adapter, maxConnections: 100_000, logLevel: 'warn' });
  manager.registerHandler('broadcast', ({ type, content }) => void manager.broadcast({ type, content }));
  manager.registerHandler('join', async ({ content }, connection) => {
    rooms.add(content.room);
    manager.subscribe(connection.id, content.room);
    await manager.whenSubscribed(content.room);
    return content;
  });
  manager.registerHandler('say', ({ type, content }) => void manager.publish(content.room, { type, content }));
  await manager.ready();
}, { strays: () => strays });
