import { existsSync } from 'node:fs';
import { definePlugin, type Usable } from '../../src/index.ts';

/** Limits far beyond what a test sends, so that what is measured is the layer's presence and not its refusal. */
const PLENTY = 1_000_000;

/** Every built-in layer by its file, with room enough for any test. */
export const LAYERS: readonly (readonly [file: string, options?: object])[] = [
  ['middleware/error-handler.ts'],
  ['middleware/logging.ts'],
  ['middleware/connection-limits.ts', { maxPerIP: PLENTY }],
  ['middleware/rate-limit.ts', { maxPerSecond: PLENTY, maxBytesPerSecond: false }],
  ['middleware/validation.ts'],
  ['middleware/compression.ts'],
];

const place = (file: string) => new URL(`../../${file}`, import.meta.url);

/** Whether this checkout has the layer: the kernel must stand without any of them. */
export const isThere = ([file]: readonly [file: string, options?: object]): boolean => existsSync(place(file));

/** Has permessage-deflate negotiated, by the place that the kernel has for it. */
const deflation = definePlugin({
  name: 'deflation',
  setup(context) { context.transport({ compression: { threshold: 1_024 } }); },
});

/** What `use` takes to have every layer on, and compression. */
export async function allLayers(): Promise<Usable[]> {
  const layers = await Promise.all(LAYERS.filter(isThere).map(async ([file, options]) => {
    const layer = await import(place(file).href) as { default: (options?: object) => Usable };
    return layer.default(options);
  }));
  return [...layers, deflation];
}
