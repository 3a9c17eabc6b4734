import { ModuleError, type Connection } from '../../src/index.ts';
import type { AdmissionCheck, Handshake } from './contracts.ts';

/** One connection on its way into a namespace. */
export class Admission {
  readonly #connection: Connection;
  readonly #report: (error: unknown) => void;
  /** What checks have said is to be undone. */
  readonly #undos: (() => void)[] = [];
  #isOver = false;

  /** @param report told of an undo that fails */
  constructor(connection: Connection, report: (error: unknown) => void) {
    this.#connection = connection;
    this.#report = report;
  }

  /** Asks in order; the first that refuses is the last. @throws what refuses */
  async ask(checks: Iterable<AdmissionCheck>, handshake: Handshake): Promise<void> {
    for (const check of checks) {
      const verdict = await check(this.#connection, handshake.credentials, handshake);
      if (verdict === false) throw new ModuleError('FORBIDDEN');
      if (typeof verdict === 'function') this.#undos.push(verdict);
      // It took too long: nobody waits for what the others say.
      if (this.#isOver) return this.withdraw();
    }
  }

  /** It is not let in after all. */
  withdraw(): void {
    this.#isOver = true;
    for (const undo of this.#undos.splice(0).reverse()) {
      try {
        undo();
      } catch (error) {
        this.#report(error);
      }
    }
  }
}
