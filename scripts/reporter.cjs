// Mocha's `spec` reporter, which also writes its totals where TEST_TOTALS points, one file a run, for `.ci/run` to add up.
const { mkdirSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { reporters, Runner } = require('mocha');

module.exports = class CountingReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const folder = process.env.TEST_TOTALS;
    if (!folder) return;
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      const { passes: passed, failures: failed, pending: skipped } = this.stats;
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `mocha-${process.pid}.json`), JSON.stringify({ passed, failed, skipped }));
    });
  }
};
