import type { User } from '../contracts.ts';

/**
 * The name of a user that others see: `username`, if that is a string and not empty.
 *
 * @example const from = displayName(connection.user) ?? memberId(connection);
 */
export function displayName(user: User | undefined): string | undefined {
  const username = user?.username;
  return typeof username === 'string' && username !== '' ? username : undefined;
}

/**
 * What others see of a user in addition to the id: `{ username }`, or nothing.
 *
 * @example { type: 'user-joined', content: { userId: memberId(connection), ...publicProfile(connection.user) } }
 */
export function publicProfile(user: User | undefined): { readonly username?: string } {
  const username = displayName(user);
  return username === undefined ? {} : { username };
}
