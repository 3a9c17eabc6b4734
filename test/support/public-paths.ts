import { read } from './sources.ts';
import type { Packed } from './packed.ts';

type Target = { readonly types: string; readonly default: string } | string | null;

/** Every path under which the package can be imported, as users write it. */
export function publicPaths({ contents }: Packed): string[] {
  const { exports } = JSON.parse(read('package.json')) as { exports: Record<string, Target> };
  return Object.entries(exports).flatMap(([path, target]) => {
    if (target === null || typeof target === 'string') return [];
    if (!path.includes('*')) return [path];
    const [start = ''] = target.default.slice('./'.length).split('*');
    return contents
      .filter((file) => file.startsWith(start) && file.endsWith('.js') && !file.slice(start.length).includes('/'))
      .map((file) => path.replace('*', file.slice(start.length, -'.js'.length)));
  }).map((path) => path.replace('.', 'websocket-module'));
}
