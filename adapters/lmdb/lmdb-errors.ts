import { defineErrors, type ErrorsOf } from '../../src/index.ts';

/** The errors of the LMDB journal. They are for operators: clients see `INTERNAL_ERROR`. */
export const lmdbErrors = defineErrors('lmdb', {
  LMDB_PACKAGE_MISSING: [() => 'the LMDB journal needs the package "lmdb": npm install lmdb', {}],
  LMDB_FILE_INVALID: [
    (d: { path: string; reason: string }) =>
      `${d.path} cannot be used: ${d.reason}. It was not changed; restore it from a copy, or move it away`, {},
  ],
});

declare module '../../src/index.ts' { interface Errors extends ErrorsOf<typeof lmdbErrors> {} }
