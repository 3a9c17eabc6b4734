// A layer for each of the four phases: before the handshake, after it, around each message, before each message sent.
// Run it with `npm run example custom-middleware`.
import WebSocketModule, { gracefulShutdown, ModuleError } from 'websocket-module';

const wsManager = WebSocketModule.create({ port: Number(process.env.PORT ?? 3001) });

// Before the handshake. To refuse, throw an error with an HTTP status.
wsManager.use({
  type: 'upgrade',
  name: 'api-version',
  handler: (request, metadata) => {
    metadata.version = new URL(request.url, 'http://localhost').searchParams.get('v') ?? '1';
    if (metadata.version === '1') return;
    throw new ModuleError('VERSION_GONE', {}, { message: 'only version 1 is spoken here', status: 410 });
  },
});

// After it. The returned object is merged into the connection's metadata. `false` refuses.
wsManager.use({
  type: 'connection',
  name: 'language',
  handler: (ws, request) => ({ language: request.headers['accept-language']?.split(',')[0] ?? 'en' }),
});

// Around each message. next() gives what the handler returned.
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

// Before each message sent, once for all its recipients. A returned message replaces it.
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
