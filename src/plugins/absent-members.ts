import { ModuleError, type ErrorDetails } from '../errors.ts';

/** The members that built-ins add to the manager and to `manager.connections`, by the name of the built-in. */
export interface BuiltinMembers {
  readonly manager?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly connections?: Readonly<Record<string, readonly string[]>> | undefined;
}
export type PluginState = NonNullable<ErrorDetails<'PLUGIN_UNKNOWN'>['state']>;

const absentGetters = new WeakSet<object>();

/** Whether a member is a placeholder, which only throws an error that names the built-in. */
export const isAbsent = (target: object, name: PropertyKey): boolean => {
  const { get } = (Object.getOwnPropertyDescriptor(target, name) ?? {}) as { readonly get?: object };
  return get !== undefined && absentGetters.has(get);
};

/**
 * Adds the members of built-ins that are not loaded yet. Reading one throws PLUGIN_UNKNOWN, which names the built-in.
 * @param stateOf the state of a built-in when its member is read
 */
export function addAbsentMembers(
  target: object,
  path: string,
  members: Readonly<Record<string, readonly string[]>>,
  stateOf: (plugin: string) => PluginState,
): void {
  for (const [plugin, names] of Object.entries(members)) {
    for (const name of names) {
      const get = (): never => {
        throw new ModuleError('PLUGIN_UNKNOWN', { plugin, state: stateOf(plugin), member: `${path}.${name}` });
      };
      absentGetters.add(get);
      Object.defineProperty(target, name, { get, configurable: true });
    }
  }
}
