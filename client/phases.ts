import { limited } from './limited.ts';

/** Where the client is. Each phase owns one timer at most, which ends with it. */
export type Phase =
  'disconnected' | 'connecting' | 'authenticating' | 'connected' | 'probing' | 'waiting' | 'offline' | 'failed';

/** One step of how the client came to where it is. */
export interface Step { readonly at: Date; readonly from: Phase; readonly to: Phase; readonly why: string }

/** Called when the timer of a phase ends, with the milliseconds by which it is too late. */
export type Expire = (late: number) => void;

/** A timer that fires so many milliseconds late means that the device slept, or the page was frozen. */
export const LATE = 1_000;

const MAX_STEPS = 50;

/** The present phase, its timer, and the steps that led to it. */
export class Phases {
  readonly steps: Step[] = [];
  #phase: Phase = 'disconnected';
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #changed: (step: Step) => void;

  constructor(changed: (step: Step) => void) {
    this.#changed = changed;
  }

  get phase(): Phase { return this.#phase; }

  /** Enters a phase. The timer of the phase before ends. */
  enter(phase: Phase, why: string, milliseconds?: number, expire?: Expire): void {
    clearTimeout(this.#timer);
    const step = { at: new Date(), from: this.#phase, to: phase, why };
    this.steps.push(step);
    if (this.steps.length > MAX_STEPS) this.steps.shift();
    this.#phase = phase;
    if (expire) this.after(milliseconds!, expire);
    this.#changed(step);
  }

  /** Starts the timer of the phase anew. */
  after(milliseconds: number, expire: Expire): void {
    clearTimeout(this.#timer);
    const due = Date.now() + milliseconds;
    this.#timer = setTimeout(() => expire(Date.now() - due), limited(milliseconds));
  }

  /** As `after`, but once more if the device slept: what the socket received meanwhile comes first. */
  deadline(milliseconds: number, expire: () => void): void {
    this.after(milliseconds, (late) => {
      if (late > LATE) this.after(milliseconds, expire);
      else expire();
    });
  }
}
