import { undoAll } from './cleanup.ts';

export const mochaHooks = {
  afterEach: undoAll,
};
