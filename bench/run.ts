import { readArguments, USAGE, type Arguments } from './arguments.ts';
import { build } from './build.ts';
import { Child } from './child.ts';
import { runCluster } from './cluster/run-cluster.ts';
import { compare, type Round, type Row } from './compare.ts';
import { measure, startLoad, type Effort } from './measure.ts';
import { summarise } from './profile.ts';
import { writeResults } from './results.ts';
import type { Scenario } from './scenarios/scenario.ts';
import { table } from './table.ts';

const showProfile: Effort['profiled'] = (contender, scenario, profile) =>
  console.log(`\n${scenario.name}, ${contender.name}: own time by function\n${summarise(profile)}`);

async function run({ scenarios, contenders, complete, profile, ...rest }: Arguments): Promise<void> {
  const effort: Effort = { ...rest, ...(profile && { profiled: showProfile }) };
  const names = contenders.map(({ name }) => name);
  const rows: Row[] = [];
  build();
  const load = startLoad();

  const runRound = async (scenario: Scenario, index: number): Promise<Round> => {
    const round: Round = {};
    // Every second round in reverse order: the machine changes between the first server and the last.
    for (const contender of index % 2 === 0 ? contenders : contenders.toReversed()) {
      progress(`${scenario.name} ${index + 1}/${effort.rounds} ${contender.name}`);
      round[contender.name] = await measure(contender, scenario, load, effort);
    }
    return round;
  };

  for (const scenario of scenarios) {
    const rounds: Round[] = [];
    while (rounds.length < effort.rounds) rounds.push(await runRound(scenario, rounds.length));
    rows.push(...compare(scenario, names, rounds));
  }
  progress('');
  console.log(`\n${table(rows, names)}\n`);
  console.log(`results.json and results.svg are in ${writeResults(rows, effort, complete)}`);
  await load.stop();
}

function progress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${line}`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
process.once('exit', () => Child.killAll());

if (process.argv[2] === 'cluster') {
  await runCluster();
  process.exit();
}
let asked: Arguments;
try {
  asked = readArguments();
} catch (error) {
  console.error(`${(error as Error).message}\n\n${USAGE}`);
  process.exit(2);
}
await run(asked).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
