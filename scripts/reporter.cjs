// Mocha's reporter `spec`, which also writes its totals to a file in the folder TEST_TOTALS. `.ci/run` adds them up.
const { mkdirSync, writeFileSync } = require('node:fs');
const { join, relative } = require('node:path');
const { reporters, Runner } = require('mocha');

const { EVENT_RUN_END, EVENT_TEST_FAIL } = Runner.constants;

module.exports = class CountingReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    let isOver = false;
    // If a file cannot be loaded, or ends its worker, it fails outside of any test, and mocha does not name the file.
    runner.prependListener(EVENT_TEST_FAIL, (test, error) => {
      if (!error?.file) return;
      test.title = `${relative(process.cwd(), error.file)} did not run to its end`;
      if (isOver) console.error(`\n${test.title}:\n${error.stack}`);
    });
    // Mocha emits the end of a parallel run at the first such file, and again after all files.
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
