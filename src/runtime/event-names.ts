import type { Hooks } from '../contracts.ts';
import { nearestName } from '../errors.ts';
import { UndoList, type Undo } from './scope.ts';

const KERNEL_EVENTS: readonly string[] = [
  'connection:added', 'connection:identified', 'connection:removed', 'connection:refused',
  'message:received', 'message:handled', 'message:sent', 'message:dropped', 'node:joined', 'node:left', 'node:gap',
  'stopping', 'error',
] as const satisfies readonly (keyof Hooks)[];

/** What the events are called in other packages. */
const ALIASES: Readonly<Record<string, keyof Hooks>> = {
  connect: 'connection:added', connection: 'connection:added', open: 'connection:added',
  disconnect: 'connection:removed', disconnected: 'connection:removed', close: 'connection:removed',
  message: 'message:received', data: 'message:received', authenticated: 'connection:identified',
};

/** Names that are remembered as told. A program has few listeners, and none should be told of twice. */
const MAX_TOLD = 100;

/** The names of the events that the kernel and the loaded plugins emit. */
export class EventNames {
  readonly #declared = new UndoList<readonly string[]>();
  readonly #told = new Set<string>();

  /** Adds the events of a plugin. */
  declare(names: readonly string[]): Undo { return this.#declared.add(names); }

  has(name: string): boolean {
    return KERNEL_EVENTS.includes(name) || [...this.#declared].some((names) => names.includes(name));
  }

  /** A warning of a name that is unknown, once; undefined where there is nothing to tell. */
  warning(name: string): string | undefined {
    if (this.has(name) || this.#told.has(name) || this.#told.size >= MAX_TOLD) return undefined;
    this.#told.add(name);
    const known = [...KERNEL_EVENTS, ...[...this.#declared].flat()];
    const meant = Object.hasOwn(ALIASES, name) ? ALIASES[name] : nearestName(name, known);
    const remedy = meant === undefined ? 'a plugin names its events in its field "events"' : `did you mean "${meant}"?`;
    return `a listener waits for the event "${name}", which neither the kernel nor a loaded plugin emits; ${remedy}`;
  }
}
