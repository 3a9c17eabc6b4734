import type { User } from '../contracts.ts';

/**
 * The name that others are shown for a user: `username`, where that is a text and not empty.
 *
 * @example const from = displayName(connection.user) ?? memberId(connection);
 */
export function displayName(user: User | undefined): string | undefined {
  const username = user?.username;
  return typeof username === 'string' && username !== '' ? username : undefined;
}

/**
 * What others are told of a user beside the id: `{ username }`, or nothing.
 *
 * @example { type: 'user-joined', content: { userId: memberId(connection), ...publicProfile(connection.user) } }
 */
export function publicProfile(user: User | undefined): { readonly username?: string } {
  const username = displayName(user);
  return username === undefined ? {} : { username };
}
