import { createAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';
import { serveNode } from './serve.ts';

/** A node of Socket.IO, with its Redis adapter or its sharded one, as its pages show them. */
serveNode(async (server, { url, isSharded }) => {
  const client = createClient({ url });
  const subscriber = client.duplicate();
  await Promise.all([client.connect(), subscriber.connect()]);
  const io = new Server(server, {
    transports: ['websocket'], serveClient: false,
    adapter: isSharded ? createShardedAdapter(client, subscriber) : createAdapter(client, subscriber),
  });
  io.engine.on('connection', (socket: { request: unknown }) => { socket.request = null; });
  io.on('connection', (socket) => {
    socket.on('broadcast', (content) => { io.emit('broadcast', content); });
    socket.on('join', async (content) => {
      await socket.join(content.room);
      socket.emit('join', content);
    });
    socket.on('say', (content) => { io.to(content.room).emit('say', content); });
  });
});
