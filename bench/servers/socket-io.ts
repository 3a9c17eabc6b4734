import { Server } from 'socket.io';
import { deflate } from './deflate.ts';
import { serve } from './serve.ts';

/** The same application on Socket.IO, as its pages on performance and memory recommend. */
serve((server, { compression }) => {
  const perMessageDeflate = compression ? deflate : false;
  const io = new Server(server, { transports: ['websocket'], serveClient: false, perMessageDeflate });

  // https://socket.io/docs/v4/memory-usage/: the request is not needed any more.
  io.engine.on('connection', (socket: { request: unknown }) => { socket.request = null; });

  io.on('connection', (socket) => {
    socket.on('echo', (content) => { socket.emit('echo', content); });
    socket.on('save', (_content, acknowledge: () => void) => { acknowledge(); });
    socket.on('broadcast', (content) => { io.emit('broadcast', content); });
    socket.on('join', (content) => {
      void socket.join(content.room);
      socket.emit('join', content);
    });
    socket.on('say', (content) => { io.to(content.room).emit('say', content); });
  });
});
