// Everything that fits in two minutes. What takes longer lives in test/resilience (`npm run test:resilience`), and what stands beside other
// packages in test/compat (`npm run test:compat`).
// `npx mocha test/one.test.ts` runs that file alone; mocha would add it to the list.
const named = process.argv.some((argument) => argument.endsWith('.test.ts'));

module.exports = {
  spec: named ? [] : ['test/**/*.test.ts'],
  ignore: ['test/resilience/**', 'test/compat/**'],
  extension: ['ts'],
  // Without require(esm) mocha imports the tests, as everybody else does: required, each module would exist twice, once for import().
  'node-option': ['import=tsx', 'no-experimental-require-module'],
  require: ['./test/support/hooks.ts'],
  reporter: './scripts/reporter.cjs',
  forbidOnly: Boolean(process.env.CI),
  timeout: 10_000,
  slow: 1_000,
};
