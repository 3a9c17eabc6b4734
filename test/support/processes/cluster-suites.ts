// Runs the suites of adapters and stores in a process that has a primary, and reports what failed.
import { ClusterAdapter } from '../../../adapters/cluster.ts';
import { adapterCases, journalCases, storeCases } from '../../../testing/index.ts';

let buses = 0;
const ignore = (): void => undefined;

/** The adapters of the nodes of one bus. */
function nodes() {
  const bus = `bus ${++buses}`;
  const started: ClusterAdapter[] = [];
  return {
    start: async () => {
      const adapter = new ClusterAdapter({ bus });
      started.push(adapter);
      await adapter.start({ id: `node ${started.length}`, receive: ignore });
      return adapter;
    },
    stop: () => Promise.all(started.map((adapter) => adapter.stop())),
  };
}

const cases = {
  adapter: adapterCases(() => {
    const bus = `bus ${++buses}`;
    return () => new ClusterAdapter({ bus });
  }),
  store: storeCases(() => {
    const { start, stop } = nodes();
    return { store: async () => (await start()).store, stop };
  }),
  journal: journalCases(() => {
    const { start, stop } = nodes();
    return {
      journal: async () => {
        const adapter = await start();
        await adapter.subscribe('topic');
        return adapter.journal;
      },
      stop,
    };
  }),
};

const failed: string[] = [];
let passed = 0;
for (const [name, tests] of Object.entries(cases)) {
  for (const { title, run } of tests) {
    try {
      await run();
      passed++;
    } catch (error) {
      failed.push(`${name}: ${title}: ${(error as Error).stack ?? String(error)}`);
    }
  }
}
process.send!({ passed, failed }, () => process.exit(0));
