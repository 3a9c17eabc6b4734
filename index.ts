import { WebSocketModule as kernel, type Builtins, type Options, type WebSocketManager } from './src/index.ts';
import * as exported from './src/index.ts';

export * from './src/index.ts';

/** The names that use() and the options take, each imported when it is first used. */
const builtins: Builtins = {
  init: async () => (await import('./handlers/init.ts')).init,
  text: async () => (await import('./handlers/text.ts')).text,
  ping: async () => (await import('./handlers/ping.ts')).ping,
  system: async () => (await import('./handlers/system.ts')).system,
  'validation': async () => (await import('./middleware/validation.ts')).default,
  'rate-limit': async () => (await import('./middleware/rate-limit.ts')).default,
  'compression': async () => (await import('./middleware/compression.ts')).default,
  'monitoring': async () => (await import('./plugins/monitoring.ts')).default,
};

/** Makes managers with the built-ins at hand. */
const door = {
  ...exported,
  /** A manager inside an existing http, https or Express server, or with a `port` of its own. @throws OPTION_INVALID, OPTION_UNKNOWN */
  create: (options: Options): WebSocketManager => kernel.create({ handlers: ['init', 'text', 'ping', 'system'], ...options }, builtins),
};

export { door as WebSocketModule, door as default, door as 'module.exports' };
