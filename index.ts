import {
  WebSocketModule as kernel, type BuiltinMembers, type Builtins, type Options, type WebSocketManager,
} from './src/index.ts';
import * as exported from './src/index.ts';

export * from './src/index.ts';

/** The built-ins by name. Each is imported when it is first used. */
const builtins: Builtins = {
  init: async () => (await import('./handlers/init.ts')).init,
  text: async () => (await import('./handlers/text.ts')).text,
  ping: async () => (await import('./handlers/ping.ts')).ping,
  system: async () => (await import('./handlers/system.ts')).system,
  auth: async () => (await import('./handlers/auth-handler.ts')).auth,
  admin: async () => (await import('./handlers/admin.ts')).admin,
  'private-messages': async () => (await import('./plugins/private-messages.ts')).privateMessages,
  rooms: async () => (await import('./plugins/rooms.ts')).rooms,
  history: async () => (await import('./plugins/history.ts')).history,
  recovery: async () => (await import('./plugins/recovery.ts')).recovery,
  presence: async () => (await import('./plugins/presence.ts')).presence,
  monitoring: async () => (await import('./plugins/monitoring.ts')).monitoring,
  cluster: async () => (await import('./plugins/cluster.ts')).cluster,
  'long-polling': async () => (await import('./plugins/long-polling.ts')).longPolling,
  batching: async () => (await import('./plugins/batching.ts')).batching,
  moderation: async () => (await import('./plugins/moderation.ts')).moderation,
  events: async () => (await import('./plugins/events.ts')).events,
  endpoints: async () => (await import('./plugins/endpoints.ts')).endpoints,
  namespaces: async () => (await import('./plugins/namespaces.ts')).namespaces,
  permissions: async () => (await import('./middleware/permissions.ts')).permissions,
  validation: async () => (await import('./middleware/validation.ts')).validation,
  'rate-limit': async () => (await import('./middleware/rate-limit.ts')).rateLimit,
  'connection-limits': async () => (await import('./middleware/connection-limits.ts')).connectionLimits,
  logging: async () => (await import('./middleware/logging.ts')).logging,
  'error-handler': async () => (await import('./middleware/error-handler.ts')).errorHandler,
  compression: async () => (await import('./middleware/compression.ts')).compression,
};

/**
 * Members that built-ins add. Reading one before its built-in is loaded throws an error that names the built-in.
 * Members of an optional type are left out: they are `undefined` then.
 */
const members: BuiltinMembers = {
  manager: { namespaces: ['of', 'setNamespaceManager', 'setEventRouter'], events: ['io'] },
  connections: {
    rooms: [
      'getConnection', 'getConnectionByUserId', 'getUserConnections', 'broadcastToRoom', 'joinRoom', 'leaveRoom',
      'cleanup', 'watch',
    ],
  },
};

/** WebSocketModule with the built-ins, and everything that the package exports. */
const moduleExports = {
  ...exported,
  /**
   * Creates a manager inside an existing http, https or Express server, or on its own server with `port`.
   * @throws OPTION_INVALID, OPTION_UNKNOWN
   */
  create: (options: Options): WebSocketManager =>
    kernel.create(options, builtins, ['init', 'text', 'ping', 'system'], members),
};

// `require()` returns this object. Its `WebSocketModule` must be the one with the built-ins, not the kernel's.
Object.assign(moduleExports, { WebSocketModule: moduleExports });

export { moduleExports as WebSocketModule, moduleExports as default, moduleExports as 'module.exports' };
