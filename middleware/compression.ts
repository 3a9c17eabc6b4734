import { check, definePlugin, rules, type Plugin } from '../src/index.ts';

export interface CompressionOptions {
  /** Bytes from which a message is compressed; what is shorter gains nothing. @default 1_024 */
  readonly threshold?: number;
  /** How hard zlib tries, from 1 (fast) to 9 (small). @default zlib's, which is 6 */
  readonly level?: number;
  /** How much memory zlib takes for it, from 1 to 9 (256 KB at 8). @default 8 */
  readonly memLevel?: number;
  /** Messages that are inflated at once, in this process: the first to be loaded decides. @default 4 */
  readonly concurrency?: number;
}

const RULES = { threshold: rules.integer(0, 2 ** 31 - 1), level: rules.integer(1, 9), memLevel: rules.integer(1, 9), concurrency: rules.integer(1, 1_024) };

/**
 * Offers permessage-deflate (RFC 7692) to connections that come from then on. Without context takeover: a message is compressed once
 * for all who get it, and no connection holds what it compressed before. What inflates to more than `maxPayload` is cut off with 1009.
 *
 * @example manager.use(compression({ threshold: 4_096, level: 3 }));
 */
export function compression(options: CompressionOptions = {}): Plugin<'compression'> {
  const { threshold = 1_024, concurrency = 4, ...zlib } = check(options, RULES, 'compression');
  return definePlugin({
    name: 'compression',
    setup(context) {
      context.transport({ compression: { threshold, concurrency, ...zlib } });
    },
  });
}

compression.compression = compression;
export { compression as default, compression as 'module.exports' };
