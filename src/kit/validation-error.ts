import { ModuleError } from '../errors.ts';
import './shared-errors.ts';

/** One thing that is wrong with a payload: where, with dots between the keys, and what. */
export interface ValidationIssue { readonly path: string; readonly message: string }

/** A list of a thousand wrong items need not be answered by a thousand lines. */
const MAX_ISSUES = 20;
/** Characters of a path and of a message: both may quote what the sender wrote. */
const MAX_TEXT = 200;

/**
 * The VALIDATION_FAILED error, in the one shape that clients see. Its issues are bounded in number and length; an issue
 * of the whole payload has the path `content`.
 *
 * @example if (typeof roomId !== 'string') throw validationError([{ path: 'roomId', message: 'must be a string' }]);
 */
export function validationError(issues: readonly ValidationIssue[]): ModuleError<'VALIDATION_FAILED'> {
  const shown = issues.slice(0, MAX_ISSUES).map(({ path, message }) => ({
    path: path.slice(0, MAX_TEXT) || 'content',
    message: message.slice(0, MAX_TEXT),
  }));
  return new ModuleError('VALIDATION_FAILED', { issues: shown });
}
