// Mocha's `spec` reporter, which also writes its totals where TEST_TOTALS points, one file a run, for `.ci/run` to add up.
const { mkdirSync, writeFileSync } = require('node:fs');
const { join, relative } = require('node:path');
const { reporters, Runner } = require('mocha');

const { EVENT_RUN_END, EVENT_TEST_FAIL } = Runner.constants;

module.exports = class CountingReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    let isOver = false;
    // A file that cannot be loaded, or ends its worker, fails outside of every test; mocha does not say which file it is.
    runner.prependListener(EVENT_TEST_FAIL, (test, error) => {
      if (!error?.file) return;
      test.title = `${relative(process.cwd(), error.file)} did not run to its end`;
      if (isOver) console.error(`\n${test.title}:\n${error.stack}`);
    });
    // Mocha ends a parallel run at the first file of that kind, and again when all of them have been counted.
    runner.on(EVENT_RUN_END, () => {
      isOver = true;
      this.writeTotals();
    });
  }

  writeTotals() {
    const folder = process.env.TEST_TOTALS;
    if (!folder) return;
    const { passes: passed, failures: failed, pending: skipped } = this.stats;
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `mocha-${process.pid}.json`), JSON.stringify({ passed, failed, skipped }));
  }
};
