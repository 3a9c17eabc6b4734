// Bad days: long, serial, with time to be measured.
const base = require('./.mocharc.cjs');

module.exports = {
  ...base,
  spec: base.spec.length === 0 ? [] : ['test/resilience/**/*.test.ts'],
  ignore: [],
  'node-option': [...base['node-option'], 'expose-gc'],
  parallel: false,
  timeout: 300_000,
  slow: 30_000,
};
