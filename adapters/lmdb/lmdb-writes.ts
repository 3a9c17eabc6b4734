import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ModuleError } from '../../src/index.ts';
import type { LmdbDatabase } from './lmdb-topic.ts';

/** Flags of a transaction: it can be aborted, is committed before the call returns, and is not flushed. */
const FLAGS = 0x1 | 0x2 | 0x1_0000;
/** Milliseconds for which the free bytes of the disk are remembered. */
const CHECK_INTERVAL = 100;

interface Waiting {
  readonly work: () => unknown;
  /** Whether the file may need more space. */
  readonly grows: boolean;
  readonly resolve: (result: any) => void;
  readonly reject: (error: unknown) => void;
}

export interface LmdbWritesOptions {
  readonly path: string;
  /** Whether a write resolves when it is on the disk. */
  readonly flush: boolean;
  /** Bytes that must be free on the disk. */
  readonly minFree: number;
}

/**
 * LmdbWrites writes what is asked for in one turn of the event loop as one transaction. If the transaction fails,
 * nothing of it is written, and each caller gets the error.
 *
 * It refuses writes while the disk is nearly full: if a write of LMDB itself fails, the process ends.
 */
export class LmdbWrites {
  readonly #db: LmdbDatabase;
  readonly #options: LmdbWritesOptions;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #flushing: Promise<void> = Promise.resolve();
  /** Begins when `#flushing` is over. */
  #nextFlush: Promise<void> | undefined;
  #free = 0;
  #checkedAt = -Infinity;

  constructor(db: LmdbDatabase, options: LmdbWritesOptions) {
    this.#db = db;
    this.#options = options;
  }

  /**
   * Runs work in the next transaction. Work must not throw after it has written.
   * @throws JOURNAL_FULL if the disk is nearly full, and the file may need more space
   */
  async run<T>(work: () => T, grows: boolean): Promise<T> {
    const result = await new Promise<T>((resolve, reject) => {
      this.#waiting.push({ work, grows, resolve, reject });
      this.#writing ??= this.#write();
    });
    if (this.#options.flush) await this.#flushed();
    return result;
  }

  /** Resolves when nothing waits. */
  async whenIdle(): Promise<void> { await this.#writing; }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      await nextTurn();
      let shortage: unknown;
      try {
        shortage = await this.#shortage();
      } catch (error) {
        shortage = error;
      }
      const batch = this.#waiting;
      this.#waiting = [];
      this.#transact(batch.filter((one) => !one.grows || shortage === undefined));
      if (shortage !== undefined) for (const { grows, reject } of batch) if (grows) reject(shortage);
    }
    this.#writing = undefined;
  }

  #transact(batch: readonly Waiting[]): void {
    if (batch.length === 0) return;
    try {
      const results = this.#db.transactionSync(() => batch.map(({ work }) => work()), FLAGS);
      for (const [index, { resolve }] of batch.entries()) resolve(results[index]);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  /** Why the file may not grow. Rejects if the file system does not tell its free bytes. */
  async #shortage(): Promise<ModuleError | undefined> {
    const { path, minFree } = this.#options;
    if (performance.now() - this.#checkedAt > CHECK_INTERVAL) {
      const { bavail, bsize } = await statfs(dirname(path));
      this.#free = bavail * bsize;
      this.#checkedAt = performance.now();
    }
    if (this.#free >= minFree) return undefined;
    const cause = new Error(`the disk of ${path} has ${this.#free} free bytes, and ${minFree} must stay free`);
    return new ModuleError('JOURNAL_FULL', { of: 'bytes' }, { cause });
  }

  /** Resolves when all that was written before is on the disk. All writes that wait for it share one flush. */
  #flushed(): Promise<void> {
    // Not the flush that runs: it may have begun before the last write.
    return (this.#nextFlush ??= this.#flushing.catch(() => undefined).then(() => {
      this.#nextFlush = undefined;
      return (this.#flushing = this.#flush());
    }));
  }

  #flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#db.sync((error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }
}
