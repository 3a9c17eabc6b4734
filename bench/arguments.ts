import { parseArgs } from 'node:util';
import { contenders, type Contender } from './contenders.ts';
import { scenarios } from './scenarios/index.ts';
import type { Scenario } from './scenarios/scenario.ts';

export interface Arguments {
  readonly scenarios: readonly Scenario[];
  readonly contenders: readonly Contender[];
  readonly rounds: number;
  /** Milliseconds. */
  readonly window: number;
  readonly warmUp: number;
  readonly quick: boolean;
  readonly profile: boolean;
  /** Whether the run has all scenarios, contenders and rounds, so that its results may be published. */
  readonly complete: boolean;
}

export const USAGE = `npm run bench -- [options]
  --quick               one short round without the bare kernel, under a minute: a test of the benchmark itself
  --only <name,…>       scenarios, by name or by the beginning of names: ${scenarios.map(({ name }) => name).join(' ')}
  --contenders <name,…> of ${contenders.map(({ name }) => name).join(' ')}
  --rounds <n>          default 5
  --window <ms>         how long each is measured, default 2000
  --profile             prints the functions in which each server spent its time`;

/** Reads the command line. @throws for unknown options and names */
export function readArguments(): Arguments {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    options: { only: text, contenders: text, rounds: text, window: text, quick: flag, profile: flag },
  });
  const { quick, profile } = values;
  const chosen = pick(scenarios, values.only);
  // A quick run has no bare kernel: it would take a quarter of the time.
  const racing = quick && values.contenders === undefined
    ? contenders.filter(({ name }) => name !== 'bare-kernel')
    : pick(contenders, values.contenders);
  const rounds = positive(values.rounds ?? (quick ? '1' : '5'));
  const window = positive(values.window ?? (quick ? '250' : '2000'));
  return {
    scenarios: chosen, contenders: racing, rounds, window, warmUp: quick ? 200 : 1_500, quick, profile,
    complete: !quick && !profile && chosen.length === scenarios.length && racing.length === contenders.length
      && rounds >= 5 && window >= 2_000,
  };
}

/** Picks items by name. A name without an item picks all items whose names begin with it. */
function pick<T extends { readonly name: string }>(all: readonly T[], list: string | undefined): readonly T[] {
  if (list === undefined) return all;
  const chosen = list.split(',').flatMap((wanted) => {
    const exact = all.filter(({ name }) => name === wanted);
    const found = exact.length > 0 ? exact : all.filter(({ name }) => name.startsWith(wanted));
    const names = all.map(({ name }) => name).join(' ');
    if (found.length === 0) throw new Error(`no "${wanted}" among ${names}`);
    return found;
  });
  return all.filter((item) => chosen.includes(item));
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`"${text}" is not an integer above 0`);
  return value;
}
