import { toError } from '../../src/index.ts';
import type { ClusterMap } from './cluster-map.ts';
import { isPermanent } from './redis-server-info.ts';
import { nameOf, type Address } from './redis-settings.ts';

/** Maximum number of servers that are asked for the map at once. */
const MAX_ASKED = 3;

type Ask = () => Promise<ClusterMap>;

/**
 * Asks some servers of a cluster for its map, and returns the newest one.
 * @param known functions that ask servers over connections that are already open
 * @param addresses servers that are asked over new connections, if none of the known servers has a usable map
 */
export async function newestMap(
  known: readonly Ask[], addresses: readonly Address[], askAt: (address: Address) => Promise<ClusterMap>,
): Promise<ClusterMap> {
  const maps = await succeeded(some(known).map((ask) => ask()), []);
  if (maps.some(({ isOk }) => isOk)) return newest(maps)!;
  const others = new Map(addresses.map((address) => [nameOf(address), address]));
  const answers = some([...others.values()]).map(askAt);
  // The first usable map is enough. If it is an old one, a server refuses a command, and the map is read again.
  const first = await Promise.any(answers.map(usable)).catch(() => undefined);
  if (first) return first;
  const errors: Error[] = [];
  const map = newest([...maps, ...await succeeded(answers, errors)]);
  if (!map) throw errors.find(isPermanent) ?? errors[0] ?? new Error('no server is known');
  return map;
}

/** The map that is probably the newest one. */
function newest(maps: readonly ClusterMap[]): ClusterMap | undefined {
  const [first] = [...maps].sort((a, b) => Number(b.isOk) - Number(a.isOk) || b.epoch - a.epoch);
  return first;
}

/** Some items of a list, chosen at random. */
function some<T>(list: readonly T[]): T[] {
  const shuffled = list.map((item) => ({ item, at: Math.random() })).sort((a, b) => a.at - b.at);
  return shuffled.slice(0, MAX_ASKED).map(({ item }) => item);
}

async function usable(answer: Promise<ClusterMap>): Promise<ClusterMap> {
  const map = await answer;
  if (!map.isOk) throw new Error('the cluster is down');
  return map;
}

/** The values of the promises that were fulfilled. The reasons of the others are added to `errors`. */
async function succeeded<T>(promises: readonly Promise<T>[], errors: Error[]): Promise<T[]> {
  const results = await Promise.allSettled(promises);
  for (const result of results) if (result.status === 'rejected') errors.push(toError(result.reason));
  return results.filter((result) => result.status === 'fulfilled').map(({ value }) => value);
}
