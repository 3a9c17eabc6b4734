import { defineErrors, type ErrorsOf, type TableFull } from '../../src/index.ts';

const PUBLIC = { expose: true } as const;

export const roomErrors = defineErrors('rooms', {
  ROOM_UNKNOWN: [(d: { room: string }) => `there is no room "${d.room}"`, PUBLIC],
  ROOM_EXISTS: [(d: { room: string }) => `room "${d.room}" already exists`, PUBLIC],
  ROOM_NAME_TAKEN: [(d: { name: string }) => `the name "${d.name}" looks like the name of another room`, PUBLIC],
  ROOM_NAME_INVALID: [(d: { reason: string }) => `invalid room name: it ${d.reason}`, PUBLIC],
  ROOM_FULL: [(d: { room: string; limit: number }) => `room "${d.room}" is full (${d.limit} members)`, PUBLIC],
  PASSWORD_REQUIRED: [(d: { room: string }) => `room "${d.room}" requires a password`, PUBLIC],
  PASSWORD_WRONG: [(d: { room: string }) => `wrong password for room "${d.room}"`, PUBLIC],
  ALREADY_IN_ROOM: [(d: { room: string }) => `you are already in room "${d.room}"`, PUBLIC],
  NOT_IN_ROOM: [(d: { room: string; user: string }) => `"${d.user}" is not in room "${d.room}"`, PUBLIC],
  NOT_BANNED: [(d: { room: string; user: string }) => `"${d.user}" is not banned from room "${d.room}"`, PUBLIC],
  MUTED: [
    (d: { room: string; until: string; retryAfter: number }) =>
      `you are muted in room "${d.room}" until ${d.until}`, PUBLIC,
  ],
  NOT_MUTED: [(d: { room: string; user: string }) => `"${d.user}" is not muted in room "${d.room}"`, PUBLIC],
  CONTENT_NOT_ALLOWED: [(d: { room: string; kind: string }) => `room "${d.room}" does not accept ${d.kind}`, PUBLIC],
  ROLE_UNKNOWN: [(d: { room: string; role: string }) => `room "${d.room}" has no role "${d.role}"`, PUBLIC],
  ROLE_UNCHANGED: [(d: { role: string; step: 'above' | 'below' }) => `there is no role ${d.step} "${d.role}"`, PUBLIC],
  LAST_OWNER: [(d: { room: string }) => `room "${d.room}" needs an owner; make another member an owner first`, PUBLIC],
  LIST_FULL: [
    (d: { room: string; of: 'room' | TableFull['of']; limit: number }) =>
      `this list of room "${d.room}" is full (${d.limit} entries)`, PUBLIC,
  ],
});

declare module '../../src/index.ts' { interface Errors extends ErrorsOf<typeof roomErrors> {} }
