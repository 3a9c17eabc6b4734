import { WebSocketManager } from './manager.ts';
import type { Options } from './options.ts';
import type { Builtins } from './contracts.ts';

/** Makes managers. */
export const WebSocketModule = Object.freeze({
  /**
   * A manager inside an existing http, https or Express server, or with a `port` of its own.
   * @param builtins the loaders behind the names that use() and the options take; the package's door passes its table
   * @throws OPTION_INVALID, OPTION_UNKNOWN
   * @example const manager = WebSocketModule.create({ server });
   */
  create: (options: Options, builtins: Builtins = {}): WebSocketManager => new WebSocketManager(options, builtins),
});
