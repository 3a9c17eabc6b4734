// Bad days: long, serial, with time to be measured.
module.exports = {
  ...require('./.mocharc.cjs'),
  spec: ['test/resilience/**/*.test.ts'],
  ignore: [],
  'node-option': ['import=tsx', 'expose-gc'],
  timeout: 300_000,
  slow: 30_000,
};
