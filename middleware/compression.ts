import { check, definePlugin, rules, type Plugin } from '../src/index.ts';

export interface CompressionOptions {
  /** Messages of at least this many bytes are compressed. @default 1_024 */
  readonly threshold?: number | undefined;
  /** The level of zlib, from 1 (fast) to 9 (small). @default zlib's, which is 6 */
  readonly level?: number | undefined;
  /** The memory that zlib uses to compress, from 1 to 9 (256 KB at 8). @default 8 */
  readonly memLevel?: number | undefined;
  /** Messages that are decompressed at the same time in this process: the first manager sets it. @default 4 */
  readonly concurrency?: number | undefined;
}

const { integer } = rules;
const COMPRESSION_RULES = {
  threshold: integer(0, 2 ** 31 - 1),
  level: integer(1, 9),
  memLevel: integer(1, 9),
  concurrency: integer(1, 1_024),
};

/**
 * Offers permessage-deflate (RFC 7692) to new connections, without context takeover: a message is compressed once for
 * all recipients, from 64 KB on outside the main thread, and no connection keeps a window of earlier messages. A
 * message that inflates to more than `maxPayload` closes its connection with 1009.
 *
 * @example manager.use(compression({ threshold: 4_096, level: 3 }));
 */
export function compression(options: CompressionOptions = {}): Plugin<'compression'> {
  const { threshold = 1_024, concurrency = 4, ...zlib } = check(options, COMPRESSION_RULES, 'compression');
  return definePlugin({
    name: 'compression',
    setup(context) {
      context.transport({ compression: { threshold, concurrency, ...zlib } });
    },
  });
}

compression.compression = compression;
export { compression as default, compression as 'module.exports' };
