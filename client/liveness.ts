import type { Reply } from './authentication.ts';
import { LATE, type Expire, type Phases } from './phases.ts';

interface LivenessOptions {
  readonly enabled: boolean;
  readonly interval: number;
  readonly timeout: number;
  readonly pingMessage: Reply;
}

interface Port {
  /** Sends a message of the client itself. Returns its id. */
  ask(message: Reply): string;
  /** Forgets a message whose reply does not matter any more. */
  forget(id: string): void;
  lost(why: string): void;
}

/** The deadline of a ping that asks whether a connection outlived a change of the network or a sleep. */
const SHORT_DEADLINE = 2_000;

/** Notices dead connections. Only data of the server counts as life; what the client sends does not. */
export class Liveness {
  readonly #options: LivenessOptions;
  readonly #phases: Phases;
  readonly #port: Port;
  #lastData = 0;
  #pingId = '';
  #wasLate = false;

  constructor(options: LivenessOptions, phases: Phases, port: Port) {
    this.#options = options;
    this.#phases = phases;
    this.#port = port;
  }

  /** Enters the phase of a connection in use. */
  watch(why: string): void {
    this.#lastData = Date.now();
    this.#wasLate = false;
    if (this.#options.enabled) this.#phases.enter('connected', why, this.#options.interval, this.#silence);
    else this.#phases.enter('connected', why);
  }

  /** Data of the server came. */
  alive(): void {
    if (this.#phases.phase === 'probing') this.watch('the server answered');
    this.#lastData = Date.now();
  }

  /** Asks whether the connection still exists, rather than believing it or dropping it. */
  probe(why: string, deadline = SHORT_DEADLINE): void {
    if (this.#phases.phase !== 'connected' || !this.#options.enabled) return;
    this.#phases.enter('probing', why, Math.min(deadline, this.#options.timeout), this.#judge);
    this.#ping();
  }

  readonly #silence: Expire = (late) => {
    const { interval, timeout } = this.#options;
    const silence = Date.now() - this.#lastData;
    if (late > LATE) this.probe('the device slept');
    // Below 0: the clock of the device was set back.
    else if (silence < 0 || silence >= interval) this.probe(`silent for ${silence} ms`, timeout);
    else this.#phases.after(interval - silence, this.#silence);
  };

  readonly #judge: Expire = (late) => {
    // The device slept. What the socket received meanwhile comes first; then the server gets one more deadline.
    if (late > LATE && !this.#wasLate) {
      this.#wasLate = true;
      this.#phases.after(SHORT_DEADLINE, this.#judge);
      return this.#ping();
    }
    // A turn of the event loop, for what arrived in the last moment.
    this.#phases.after(0, () => this.#port.lost('the server did not answer a ping'));
  };

  #ping(): void {
    this.#port.forget(this.#pingId);
    this.#pingId = this.#port.ask(this.#options.pingMessage);
  }
}
