import type { User } from '../contracts.ts';
import { ModuleError } from '../errors.ts';
import { isRecord } from '../protocol.ts';
import { describe } from './check.ts';
import { isConnectionId } from './ids.ts';

/** Maximum UTF-16 units of a user's id. OpenID Connect has the same maximum for a subject. */
const MAX_USER_ID = 255;

/**
 * Copies a user for a connection, so that later changes of the given object have no effect. An id that is a safe
 * integer or a bigint, as databases return them, becomes a string. If the object has `toJSON()`, the fields of its
 * result are copied.
 * @param source describes the value in the error
 * @throws USER_INVALID if it is no user, USER_ID_RESERVED if its id has the form of a connection id
 */
export function toUser(value: unknown, source = 'a user'): User {
  const invalid = (reason: string): ModuleError => new ModuleError('USER_INVALID', { source, reason });
  if (!isRecord(value)) throw invalid(`it must be an object with an "id", but is ${describe(value)}`);
  const { toJSON } = value;
  const json: unknown = typeof toJSON === 'function' ? toJSON.call(value) : value;
  const fields = isRecord(json) ? json : value;
  const { id = fields.id, roles = fields.roles } = value;
  const text = typeof id === 'bigint' || Number.isSafeInteger(id) ? String(id) : id;
  if (typeof text !== 'string' || text === '' || text.length > MAX_USER_ID) {
    const given = typeof text === 'string' ? `has ${text.length} characters` : `is ${describe(id)}${hint(fields)}`;
    throw invalid(`its "id" must be a string of 1 to ${MAX_USER_ID} characters or a safe integer, but ${given}`);
  }
  if (isConnectionId(text)) throw new ModuleError('USER_ID_RESERVED');
  if (roles === undefined) return { ...fields, id: text };
  if (!Array.isArray(roles) || !roles.every((role) => typeof role === 'string')) {
    throw invalid(`its "roles" must be a list of strings, but are ${describe(roles)}`);
  }
  return { ...fields, id: text, roles: Object.freeze([...roles]) };
}

/** The remedy if another field is probably the id. */
function hint(fields: Readonly<Record<string, unknown>>): string {
  const meant = ['_id', 'userId', 'sub', 'uid'].find((name) => fields[name] !== undefined && fields[name] !== null);
  return meant === undefined ? '' : `; pass its "${meant}" as "id"`;
}
