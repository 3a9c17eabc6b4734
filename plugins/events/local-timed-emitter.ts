import { splitArguments } from './arguments.ts';
import type { TimedEmitter } from './contracts.ts';
import type { Membership } from './membership.ts';
import { assertDelay, assertEvent } from './names.ts';

export class LocalTimedEmitter implements TimedEmitter {
  readonly #membership: Membership;
  readonly #timeout: number;

  constructor(membership: Membership, timeout: number) {
    assertDelay(timeout);
    this.#membership = membership;
    this.#timeout = timeout;
  }

  emit(event: string, ...args: unknown[]): boolean {
    assertEvent(event);
    const [given, answered] = splitArguments(args);
    if (!answered) return this.#membership.send(event, given);
    this.#membership.ask(event, given, this.#timeout)
      .then((answer) => answered(null, ...answer), (error: unknown) => answered(error))
      .catch((error: unknown) => this.#membership.complain(error));
    return this.#membership.isReachable;
  }

  async emitWithAck(event: string, ...args: unknown[]): Promise<any> {
    assertEvent(event);
    const [answer] = await this.#membership.ask(event, args, this.#timeout);
    return answer;
  }
}
