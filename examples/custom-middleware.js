// A layer for each of the four phases: before the handshake, after it, around each message, before each sent message.
// Run it with `npm run example custom-middleware`, or with `node` after `npm ci`.
import WebSocketModule, { gracefulShutdown, ModuleError } from 'websocket-module';

const wsManager = WebSocketModule.create({ port: Number(process.env.PORT ?? 3001) });

// Before the handshake. To refuse, throw an error with an HTTP status.
wsManager.use({
  type: 'upgrade',
  name: 'api-version',
  handler: (request, metadata) => {
    metadata.version = new URL(request.url, 'http://localhost').searchParams.get('v') ?? '1';
    if (metadata.version === '1') return;
    throw new ModuleError('VERSION_GONE', {}, { message: 'this server supports version 1 only', status: 410 });
  },
});

// After the handshake. The returned object is merged into the connection's metadata. `false` refuses the client.
wsManager.use({
  type: 'connection',
  name: 'language',
  handler: (ws, request) => ({ language: request.headers['accept-language']?.split(',')[0] ?? 'en' }),
});

// Around each message. next() returns the result of the handler.
wsManager.use({
  type: 'message',
  name: 'timing',
  handler: async (message, connection, next) => {
    const started = performance.now();
    const reply = await next();
    console.log(`${message.type} took ${(performance.now() - started).toFixed(1)} ms`);
    return reply;
  },
});

// Before each sent message, once for all its recipients. A returned message replaces it.
wsManager.use({
  type: 'send',
  name: 'server-name',
  handler: (message) => ({ ...message, meta: { ...message.meta, server: 'one' } }),
});

wsManager.registerHandler('greet', ({ payload }, connection) => ({
  hello: payload.name,
  language: connection.metadata.language,
}));

await wsManager.start();
console.log(`Listening on ws://localhost:${wsManager.address().port}/ws`);

gracefulShutdown(wsManager);
