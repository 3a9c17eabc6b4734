import { canonical, describe, ModuleError } from '../../src/index.ts';

/** By these a client enters and leaves. */
const OWN: ReadonlySet<string> = new Set(['connect', 'disconnect']);

/** The canonical form of a type that may have a handler. @throws HANDLER_INVALID */
export function handlerType(type: unknown, handler: unknown): string {
  const invalid = (message: string): ModuleError => new ModuleError('HANDLER_INVALID', { type: describe(type), given: describe(handler) }, { message });
  if (typeof type !== 'string' || type === '') throw invalid(`a message type must be a text, but is ${describe(type)}`);
  const name = canonical(type);
  if (OWN.has(name)) throw invalid(`messages of type "${name}" are the namespace's own; admit() and on() tell of them`);
  if (typeof handler !== 'function') throw invalid(`the handler of "${name}" must be a function, but is ${describe(handler)}`);
  return name;
}
