// Everything that fits in three minutes. What takes longer is in test/resilience (`npm run test:resilience`) and
// test/browser (`npm run test:browser`), and tests beside other packages and of whole documents are in test/compat and
// test/snippets (`npm run test:compat`).
const { availableParallelism } = require('node:os');

// `npx mocha test/one.test.ts` runs that file alone, in one process; mocha would add it to the list.
const named = process.argv.some((argument) => argument.endsWith('.test.ts'));

module.exports = {
  spec: named ? [] : ['test/**/*.test.ts'],
  ignore: ['test/resilience/**', 'test/compat/**', 'test/browser/**', 'test/snippets/**'],
  extension: ['ts'],
  parallel: !named,
  // Two at least: many tests wait more than they work.
  jobs: Math.min(4, Math.max(2, availableParallelism())),
  // Without require(esm) mocha imports the tests, as everybody else does: required, each module would exist twice, once
  // for import().
  'node-option': ['import=tsx', 'no-experimental-require-module'],
  require: ['./test/support/hooks.ts'],
  reporter: './scripts/reporter.cjs',
  forbidOnly: Boolean(process.env.CI),
  timeout: 30_000,
  slow: 1_000,
};
