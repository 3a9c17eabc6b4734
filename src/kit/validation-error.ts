import { ModuleError } from '../errors.ts';
import './shared-errors.ts';

/** A fault of a payload: the path of the value, with dots between keys, and the reason. */
export interface ValidationIssue { readonly path: string; readonly message: string }

/** Maximum number of issues: a list of a thousand invalid items must not cause a reply of a thousand issues. */
const MAX_ISSUES = 20;
/** Maximum characters of a path and of a message: both may quote the client. */
const MAX_TEXT = 200;

/**
 * Creates a VALIDATION_FAILED error. The number and the length of its issues are limited. An issue of the whole payload
 * has the path `content`.
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
