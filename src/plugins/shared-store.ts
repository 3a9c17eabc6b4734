import { storePrefix } from '../cluster/seat-parts.ts';
import type { LeaseKeeper } from '../cluster/lease-keeper.ts';
import type { SharedStore } from '../contracts.ts';
import { hasCode, ModuleError } from '../errors.ts';
import { describe } from '../runtime/check.ts';
import type { Undo } from '../runtime/scope.ts';

/**
 * Creates the store of one plugin: the name of the plugin is the prefix of its keys and sets, and calls reject while
 * the node holds no lease.
 * @param keep calls `add`, and calls the undo that `add` returned when the plugin is unloaded
 */
export function createSharedStore(
  plugin: string, keeper: LeaseKeeper, keep: (add: () => Undo) => Undo,
): SharedStore {
  const { store } = keeper;
  const prefix = storePrefix(plugin);
  /** @throws OPTION_INVALID */
  const full = (name: string, path: string): string => {
    if (typeof name === 'string' && name !== '') return prefix + name;
    const expected = 'a non-empty, well-formed string';
    throw new ModuleError('OPTION_INVALID', { path, given: describe(name), expected });
  };
  const all = (names: readonly string[], path: string): string[] =>
    names.map((name, index) => full(name, `${path}[${index}]`));
  /** Calls the store at once, so that the calls of a plugin keep their order. @throws LEASE_LOST */
  const call = async <T>(act: () => Promise<T>): Promise<T> => {
    const { epoch } = keeper;
    if (!keeper.holds()) throw leaseLost();
    try {
      const answer = await act();
      // An answer that comes after the lease was lost may be outdated.
      if (keeper.holds() && keeper.epoch === epoch) return answer;
    } catch (error) {
      // The lease may end in the store before it ends by the clock of this node.
      if (hasCode(error, 'LEASE_LOST')) keeper.lapse(epoch, error.message);
      throw error;
    }
    throw leaseLost();
  };
  /**
   * Writes something that may belong to a member of another node, which this node does not know after a loss of data.
   * @throws STORE_UNAVAILABLE
   */
  const callAsNewcomer = async <T>(action: string, act: () => Promise<T>): Promise<T> => {
    try {
      return await call(act);
    } catch (cause) {
      if (!hasCode(cause, 'STORE_DATA_LOST')) throw cause;
      keeper.suspectLoss();
      throw new ModuleError('STORE_UNAVAILABLE', { store: store.name, action }, { cause });
    }
  };
  const leaseLost = (): ModuleError => new ModuleError('LEASE_LOST', { node: keeper.node });
  return {
    name: store.name,
    now: () => keeper.now(),
    get: (keys) => call(() => store.get(all(keys, 'keys'))),
    settled: () => keeper.settled(),
    put: (key, ...rest) => callAsNewcomer('put', () => store.put(full(key, 'key'), ...rest)),
    delete: (key, ...rest) => call(() => store.delete(full(key, 'key'), ...rest)),
    touch: (keys, ttl) => call(() => store.touch(all(keys, 'keys'), ttl)),
    watch(listener) {
      const undo = keep(() => store.watch((key) => {
        if (key === undefined) listener(undefined);
        else if (key.startsWith(prefix)) listener(key.slice(prefix.length));
      }));
      return () => void undo();
    },
    enter(set, member, { isReturning, ...options } = {}) {
      const enter = () => store.enter(full(set, 'set'), member, options);
      if (options.max === undefined || isReturning) return callAsNewcomer('enter', enter);
      const dataLost = (): ModuleError => new ModuleError('STORE_DATA_LOST', { store: store.name });
      return callAsNewcomer('enter', () => (keeper.settled() ? Promise.reject(dataLost()) : enter()));
    },
    leave: (set, ...rest) => call(() => store.leave(full(set, 'set'), ...rest)),
    members: (set, options) => call(() => store.members(full(set, 'set'), options)),
    sizes: (sets) => call(() => store.sizes(all(sets, 'sets'))),
    take: (key, ...rest) => call(() => store.take(full(key, 'key'), ...rest)),
  };
}
