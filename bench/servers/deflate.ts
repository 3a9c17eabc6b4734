/**
 * The configuration of compression in the README of `ws`: https://github.com/websockets/ws#websocket-compression.
 * Socket.IO passes it on to `ws`.
 */
export const deflate = {
  zlibDeflateOptions: { chunkSize: 1_024, memLevel: 7, level: 3 },
  zlibInflateOptions: { chunkSize: 10 * 1_024 },
  clientNoContextTakeover: true,
  serverNoContextTakeover: true,
  serverMaxWindowBits: 10,
  concurrencyLimit: 10,
  threshold: 1_024,
};
