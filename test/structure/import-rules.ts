import { dirname, parse } from 'node:path/posix';
import type { Import } from '../support/sources.ts';

/**
 * The kernel's floors, lowest first. A file imports from its own floor and from lower ones, never in a circle. `leaves` import
 * each other's types only. A file outside every floor is refused.
 */
export const floors: readonly { readonly name: string; readonly among: 'types' | 'anything' | 'nothing'; holds(file: string): boolean }[] = [
  { name: 'leaves', among: 'types', holds: (file) => ['src/call-options.ts', 'src/contracts.ts', 'src/errors.ts', 'src/http.ts', 'src/journal.ts', 'src/logger.ts', 'src/metrics.ts', 'src/ports.ts', 'src/protocol.ts', 'src/socket.ts'].includes(file) },
  ...['runtime', 'connection', 'cluster', 'messages', 'upgrade', 'plugins'].map((name) => ({
    name, among: 'anything' as const, holds: (file: string) => file.startsWith(`src/${name}/`),
  })),
  ...['kernel', 'manager'].map((name) => ({ name, among: 'nothing' as const, holds: (file: string) => file === `src/${name}.ts` })),
  { name: 'kit', among: 'anything', holds: (file) => file.startsWith('src/kit/') },
  { name: 'entry', among: 'nothing', holds: (file) => file === 'src/index.ts' },
];

/** Packages only these files of the kernel may import. */
export const keepers: Readonly<Record<string, readonly string[]>> = {
  ws: ['src/connection/transport.ts'],
  debug: ['src/runtime/log.ts'],
};

/** These run in a browser too: nothing from Node, no package. */
export const portable: readonly string[] = ['src/protocol.ts'];

/** What is built on the kernel, and knows only its entry point. */
export const extensions: readonly string[] = ['plugins', 'middleware', 'handlers', 'adapters'];

const floorOf = (file: string) => floors.findIndex((floor) => floor.holds(file));

/** What is wrong with one import, or nothing. */
export function complaint(file: string, imported: Import): string | undefined {
  const [folder = ''] = file.split('/');
  if (file === 'index.ts') return entryPointComplaint(imported);
  if (folder === 'src') return kernelComplaint(file, imported);
  if (extensions.includes(folder)) return extensionComplaint(file, imported);
  if (folder === 'client') return clientComplaint(imported);
  if (folder === 'testing') return testingComplaint(imported);
  if (folder === 'react') return imported.file === undefined || /^(client|react)\//.test(imported.file) ? undefined : 'react/ knows client/ only';
  if (folder === 'examples') return imported.file && !imported.file.startsWith('examples/') ? 'examples import the package by its name' : undefined;
  return undefined;
}

function entryPointComplaint({ file, type, lazy }: Import): string | undefined {
  if (file === undefined || file.startsWith('src/') || type || lazy) return undefined;
  return 'the entry point imports src/ statically, and the rest lazily';
}

function kernelComplaint(from: string, { specifier, file, type, lazy }: Import): string | undefined {
  if (lazy) return 'the kernel imports nothing lazily';
  if (file === undefined) {
    if (portable.includes(from)) return `${from} runs in a browser too`;
    const allowed = keepers[specifier];
    return allowed && !allowed.includes(from) ? `only ${allowed.join(', ')} may import ${specifier}` : undefined;
  }
  if (!file.startsWith('src/')) return 'the kernel knows nothing outside src/';
  const [own, other] = [floorOf(from), floorOf(file)];
  if (own < 0) return `${from} has no floor in test/structure/import-rules.ts`;
  if (other < 0) return `${file} has no floor in test/structure/import-rules.ts`;
  // The kit is for extensions and applications: only the entry point exports it.
  if (floors[other]?.name === 'kit' && !['kit', 'entry'].includes(floors[own]!.name)) return 'the kernel does not use src/kit/';
  if (other < own) return undefined;
  const among = floors[own]?.among;
  if (other === own && (among === 'anything' || (among === 'types' && type))) return undefined;
  return other > own ? 'it stands on a higher floor' : `it stands on the same floor, which shares ${among} among its files`;
}

function extensionComplaint(from: string, { file, type }: Import): string | undefined {
  if (file === undefined || file === 'src/index.ts') return undefined;
  if (file.startsWith('src/')) return 'extensions import the entry point of the kernel, src/index.ts';
  if (!extensions.some((folder) => file.startsWith(`${folder}/`))) return 'extensions import src/index.ts and packages only';
  if (type || within(ownFolder(from), file) || within(ownFolder(file), from)) return undefined;
  // The primary of a cluster keeps the state of its workers in a memory store.
  if (from.startsWith('adapters/cluster/') && file.startsWith('adapters/memory/')) return undefined;
  return 'siblings meet through `requires`; only their types may be imported';
}

/** `plugins/endpoints.ts` and `plugins/endpoints/*.ts` are one feature: the folder that they share. */
function ownFolder(file: string): string {
  const folder = dirname(file);
  return folder.includes('/') ? folder : `${folder}/${parse(file).name}`;
}

const within = (folder: string, file: string) => file.startsWith(`${folder}/`) || file === `${folder}.ts`;

function clientComplaint({ specifier, file }: Import): string | undefined {
  if (file === undefined) return specifier.startsWith('node:') ? 'client/ runs in a browser too' : undefined;
  return file === 'src/protocol.ts' || file.startsWith('client/') ? undefined : 'client/ imports src/protocol.ts only';
}

function testingComplaint({ specifier, file }: Import): string | undefined {
  if (file !== undefined) {
    return file === 'index.ts' || file.startsWith('testing/') ? undefined : 'testing/ imports the entry point of the package, index.ts';
  }
  return specifier === 'ws' || specifier.startsWith('node:') ? undefined : 'testing/ needs no package but ws';
}

/** A path that leads back to where it began, if the graph has one. */
export function cycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const walk = (file: string): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    path.push(file);
    for (const next of graph.get(file) ?? []) {
      const found = walk(next);
      if (found) return found;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const found = walk(file);
    if (found) return found;
  }
  return undefined;
}
