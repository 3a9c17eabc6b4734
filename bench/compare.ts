import type { Contender } from './contenders.ts';
import type { Readings } from './measure.ts';
import { median } from './quantile.ts';
import type { Figure, Scenario } from './scenarios/scenario.ts';

type Name = Contender['name'];
/** The readings of one round, by contender. */
export type Round = Partial<Record<Name, Readings>>;

export interface Comparison { readonly ratio: number; readonly target?: number; readonly met?: boolean }

/** One line of the table. */
export interface Row extends Pick<Figure, 'title' | 'unit' | 'better'> {
  readonly scenario: string;
  readonly medians: Readonly<Partial<Record<Name, number>>>;
  readonly samples: Readonly<Partial<Record<Name, readonly number[]>>>;
  /** The ratio of this package with its layers to the peer. */
  readonly against: Readonly<Partial<Record<'ws' | 'socketIo', Comparison>>>;
  /** The ratio of each contender to `ws`. */
  readonly ratios: Readonly<Partial<Record<Name, number>>>;
}

/**
 * The rounds of a scenario as lines of the table. Ratios are computed within a round, so that a machine that slows down
 * affects both sides.
 */
export function compare(scenario: Scenario, names: readonly Name[], rounds: readonly Round[]): Row[] {
  return scenario.figures.map(({ reading, title, unit, better, targets }) => {
    const samplesOf = (name: Name): number[] => rounds.map((round) => round[name]![reading]!);
    const ratioOf = (name: Name, peer: Name): number =>
      median(samplesOf(name).map((value, round) => value / samplesOf(peer)[round]!));
    const collect = <T>(make: (name: Name) => T): Partial<Record<Name, T>> =>
      Object.fromEntries(names.map((name) => [name, make(name)]));
    const against = (peer: Name, target: number | undefined): Comparison | undefined => {
      if (!names.includes(peer) || !names.includes('websocket-module')) return undefined;
      const ratio = ratioOf('websocket-module', peer);
      if (target === undefined) return { ratio };
      return { ratio, target, met: better === 'lower' ? ratio <= target : ratio >= target };
    };
    const [ws, socketIo] = [against('ws', targets.ws), against('socket-io', targets.socketIo)];
    return {
      scenario: scenario.name, title, unit, better,
      medians: collect((name) => median(samplesOf(name))),
      samples: collect(samplesOf),
      against: { ...(ws ? { ws } : {}), ...(socketIo ? { socketIo } : {}) },
      ratios: names.includes('ws') ? collect((name) => ratioOf(name, 'ws')) : {},
    };
  });
}
