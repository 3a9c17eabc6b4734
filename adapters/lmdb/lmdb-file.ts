import { open } from 'node:fs/promises';
import { ModuleError } from '../../src/index.ts';
import './lmdb-errors.ts';

/** The first page of a file of LMDB, and the second, begin with such a record: the places of its fields. */
const META = { magic: 24, version: 28, pageSize: 48, freeRoot: 88, root: 136, length: 160 } as const;
const MAGIC = 0xbeefc0de;
const VERSION = 2;
/** The root of an empty tree. */
const NO_ROOT = 0xffffffffffffffffn;

/**
 * Checks the beginning and the length of a file. If LMDB opens a file that is not its own, or that was cut, the process
 * ends. A file that does not exist, or is empty, is a new one.
 *
 * @throws LMDB_FILE_INVALID, and the errors of the file system
 */
export async function checkFile(path: string): Promise<void> {
  const file = await open(path, 'r').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  if (!file) return;
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw invalid(path, 'it is not a file');
    if (stat.size === 0) return;
    const first = Buffer.alloc(META.length);
    const { bytesRead } = await file.read(first, 0, META.length, 0);
    if (bytesRead < META.length || first.readUInt32LE(META.magic) !== MAGIC) throw invalid(path, 'it is not of LMDB');
    const version = first.readUInt32LE(META.version);
    if (version !== VERSION) throw invalid(path, `its format is version ${version}, not ${VERSION}`);
    const pageSize = first.readUInt32LE(META.pageSize);
    const second = Buffer.alloc(META.length);
    await file.read(second, 0, META.length, pageSize);
    if (second.readUInt32LE(META.magic) !== MAGIC) throw invalid(path, 'its second page is damaged');
    for (const meta of [first, second]) {
      const roots = [meta.readBigUInt64LE(META.freeRoot), meta.readBigUInt64LE(META.root)];
      const needed = Math.max(...roots.map((root) => (root === NO_ROOT ? 0 : Number(root) + 1))) * pageSize;
      if (needed > stat.size) throw invalid(path, `it has ${stat.size} bytes, and needs at least ${needed}`);
    }
  } finally {
    await file.close();
  }
}

const invalid = (path: string, reason: string): ModuleError => new ModuleError('LMDB_FILE_INVALID', { path, reason });
