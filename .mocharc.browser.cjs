// The pages and the client in real browsers. One browser at a time: several would measure each other.
const base = require('./.mocharc.cjs');

module.exports = {
  ...base,
  spec: base.spec.length === 0 ? [] : ['test/browser/**/*.test.ts'],
  ignore: [],
  parallel: false,
  timeout: 90_000,
  slow: 20_000,
};
