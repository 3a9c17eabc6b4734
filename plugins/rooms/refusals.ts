import { ModuleError } from '../../src/index.ts';

/** What rooms refuse, and why: every code of theirs. */
export const refusals = {
  ROOM_UNKNOWN: (d: { room: string }) => `there is no room "${d.room}"`,
  ROOM_EXISTS: (d: { room: string }) => `there is a room "${d.room}" already`,
  ROOM_NAME_TAKEN: (d: { name: string }) => `the name "${d.name}" can be taken for the name of another room`,
  ROOM_NAME_INVALID: (d: { reason: string }) => `this cannot be the name of a room: it ${d.reason}`,
  ROOM_FULL: (d: { room: string; limit: number }) => `"${d.room}" has all the ${d.limit} members that it may have`,
  ROOM_PRIVATE: (d: { room: string }) => `"${d.room}" is open to who is invited only`,
  TOO_MANY_ROOMS: (d: { of: 'connection' | 'owner' | 'server'; limit: number }) => `one ${d.of} may have ${d.limit} rooms`,
  PASSWORD_REQUIRED: (d: { room: string }) => `"${d.room}" has a password`,
  PASSWORD_WRONG: (d: { room: string }) => `this is not the password of "${d.room}"`,
  ALREADY_IN_ROOM: (d: { room: string }) => `you are in "${d.room}" already`,
  NOT_IN_ROOM: (d: { room: string; user: string }) => `"${d.user}" is not in "${d.room}"`,
  BANNED: (d: { room: string; user: string }) => `"${d.user}" is banned from "${d.room}"`,
  NOT_BANNED: (d: { room: string; user: string }) => `"${d.user}" is not banned from "${d.room}"`,
  MUTED: (d: { room: string; until: string; retryAfter: number }) => `you are muted in "${d.room}" until ${d.until}`,
  NOT_MUTED: (d: { room: string; user: string }) => `"${d.user}" is not muted in "${d.room}"`,
  CONTENT_NOT_ALLOWED: (d: { room: string; kind: string }) => `"${d.room}" takes no ${d.kind}`,
  ROLE_UNKNOWN: (d: { room: string; role: string }) => `"${d.room}" has no role "${d.role}"`,
  ROLE_UNCHANGED: (d: { role: string; step: 'above' | 'below' }) => `there is no role ${d.step} "${d.role}"`,
  LAST_OWNER: (d: { room: string }) => `"${d.room}" would be left without an owner; name another one first`,
  SELF_ACTION: () => 'this cannot be done to oneself',
  LIST_FULL: (d: { room: string; limit: number }) => `"${d.room}" remembers ${d.limit} people of this kind already`,
};

type Refusals = typeof refusals;
type Details<C extends keyof Refusals> = Parameters<Refusals[C]> extends [infer D extends Record<string, unknown>] ? D : Record<string, never>;

/** An error of a code of rooms, with its text. The peer may see it. */
export function refusal<C extends keyof Refusals>(code: C, details: Details<C>): ModuleError {
  return new ModuleError<string>(code, details, { message: (refusals[code] as (details: Details<C>) => string)(details) });
}

/** The content that came has the wrong shape. */
export function invalid(path: string, message: string): ModuleError {
  return new ModuleError('VALIDATION_FAILED', { issues: [{ path, message }] });
}
