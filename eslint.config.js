import js from '@eslint/js';
import stylistic from '@stylistic/eslint-plugin';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const node = {
  AbortController: 'readonly', AbortSignal: 'readonly', Buffer: 'readonly', clearInterval: 'readonly', clearTimeout: 'readonly',
  console: 'readonly', fetch: 'readonly', performance: 'readonly', process: 'readonly', setImmediate: 'readonly', setInterval: 'readonly',
  setTimeout: 'readonly', structuredClone: 'readonly', TextDecoder: 'readonly', TextEncoder: 'readonly', URL: 'readonly',
  URLSearchParams: 'readonly', WebSocket: 'readonly',
};

export default defineConfig(
  globalIgnores(['dist/', 'coverage/', '.tmp/', 'node_modules/']),
  js.configs.recommended,
  stylistic.configs.customize({ indent: 2, quotes: 'single', semi: true, braceStyle: '1tbs', arrowParens: true }),
  {
    rules: {
      'curly': ['error', 'multi-line'],
      'eqeqeq': 'error',
      'no-console': 'error',
      'prefer-const': 'error',
      // Names may not become a property of every object: see prototype pollution in the tests.
      'no-proto': 'error',
      '@stylistic/max-len': ['error', { code: 160, ignoreUrls: true, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true }],
      '@stylistic/max-statements-per-line': 'off',
      '@stylistic/multiline-ternary': 'off',
      '@stylistic/no-multi-spaces': ['error', { ignoreEOLComments: true, exceptions: { Property: true, TSPropertySignature: true } }],
      '@stylistic/object-curly-newline': 'off',
      '@stylistic/operator-linebreak': ['error', 'before', { overrides: { '=': 'after' } }],
      '@stylistic/quote-props': 'off',
      '@stylistic/quotes': ['error', 'single', { avoidEscape: true, allowTemplateLiterals: 'always' }],
    },
  },
  {
    // Lines of source end at 120 columns. Lines of tests are free.
    files: [
      'index.ts', 'src/**', 'plugins/**', 'middleware/**', 'handlers/**', 'adapters/**', 'client/**', 'testing/**', 'scripts/**',
      'examples/**', 'bench/**',
    ],
    rules: { '@stylistic/max-len': ['error', { code: 120, ignoreUrls: true }] },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      // `[...text]` means its code points.
      '@typescript-eslint/no-misused-spread': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/dot-notation': ['error', { allowIndexSignaturePropertyAccess: true }],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-extraneous-class': ['error', { allowStaticOnly: true }],
      '@typescript-eslint/prefer-nullish-coalescing': ['error', { ignorePrimitives: true }],
      // An interface without members is one that others merge theirs into.
      '@typescript-eslint/no-empty-object-type': ['error', { allowInterfaces: 'always' }],
      // With `noUncheckedIndexedAccess` it is how to say that the line before has looked; a branch for what cannot be costs more.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // What comes off the wire is `any` by contract (`Handler<C = any>`); reading it is the handler's business.
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      // An index that was just compared with the length, on the hot path; elsewhere the compiler's own strictness suffices.
      // Counting the listeners of `process` is not misusing a class.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // `void | Promise<void>` says "may be asynchronous", and an optional `async` keeps every throw a rejection.
      '@typescript-eslint/no-invalid-void-type': 'off',
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      'no-console': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      // `expect(value).to.be.true` is an expression.
      '@typescript-eslint/no-unused-expressions': 'off',
      'no-unused-expressions': 'off',
    },
  },
  {
    files: ['**/*.js', '**/*.mjs', '**/*.cjs'],
    languageOptions: { globals: node },
    rules: { 'no-unused-vars': ['error', { argsIgnorePattern: '^_' }] },
  },
  {
    files: ['examples/*/public/**'],
    languageOptions: {
      globals: {
        crypto: 'readonly', document: 'readonly', location: 'readonly', ResizeObserver: 'readonly', sessionStorage: 'readonly',
        window: 'readonly',
      },
    },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: { sourceType: 'commonjs', globals: { module: 'writable', require: 'readonly', __dirname: 'readonly' } },
  },
  {
    files: ['examples/**', 'scripts/**', 'bench/**'],
    rules: { 'no-console': 'off' },
  },
);
