import type { Hooks } from '../contracts.ts';
import { nearestName } from '../errors.ts';
import { UndoList, type Undo } from './scope.ts';

const KERNEL_EVENTS: readonly string[] = [
  'connection:added', 'connection:identified', 'connection:removed', 'connection:refused',
  'message:received', 'message:handled', 'message:sent', 'message:dropped',
  'topic:opened', 'topic:closed', 'node:joined', 'node:left', 'node:gap',
  'adapter:interrupted', 'store:lapsed', 'store:renewed', 'store:data-lost', 'stopping', 'error',
] as const satisfies readonly (keyof Hooks)[];

/** Names of the events in other packages. */
const ALIASES: Readonly<Record<string, keyof Hooks>> = {
  connect: 'connection:added', connection: 'connection:added', open: 'connection:added',
  disconnect: 'connection:removed', disconnected: 'connection:removed', close: 'connection:removed',
  message: 'message:received', data: 'message:received', authenticated: 'connection:identified',
};

/** The number of warnings. Each name is warned about once. */
const MAX_WARNINGS = 100;

/** The names of the events that the kernel and the loaded plugins emit. */
export class EventNames {
  readonly #declared = new UndoList<readonly string[]>();
  readonly #warned = new Set<string>();

  /** Adds the events of a plugin. */
  declare(names: readonly string[]): Undo { return this.#declared.add(names); }

  has(name: string): boolean {
    return KERNEL_EVENTS.includes(name) || [...this.#declared].some((names) => names.includes(name));
  }

  /** Returns a warning if a name is unknown, once for each name. */
  warning(name: string): string | undefined {
    if (this.has(name) || this.#warned.has(name) || this.#warned.size >= MAX_WARNINGS) return undefined;
    this.#warned.add(name);
    const known = [...KERNEL_EVENTS, ...[...this.#declared].flat()];
    const meant = Object.hasOwn(ALIASES, name) ? ALIASES[name] : nearestName(name, known);
    const remedy = meant === undefined ? 'a plugin lists its events in its field "events"' : `did you mean "${meant}"?`;
    return `on("${name}"): neither the kernel nor a loaded plugin emits this event; ${remedy}`;
  }
}
