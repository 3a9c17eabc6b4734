// With compilers and beside other packages, as they are installed, and the code blocks of documents, each in processes
// of its own. They take seconds to load, so they run by themselves (`npm run test:compat`).
const base = require('./.mocharc.cjs');

module.exports = {
  ...base,
  spec: base.spec.length === 0 ? [] : ['test/compat/**/*.test.ts', 'test/snippets/**/*.test.ts'],
  ignore: [],
  parallel: false,
  timeout: 60_000,
  slow: 5_000,
};
