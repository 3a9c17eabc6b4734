// Stands for your database of users: a name is whose who first signs in with it, until the server ends.
import { randomBytes, randomUUID, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(scrypt);
const users = new Map();
const MOST_USERS = 10_000;

/** Gives `{ id, username }`. Throws errors with an HTTP status, whose message may be sent to the client. */
export async function signIn(given, password) {
  const username = typeof given === 'string' ? given.normalize('NFKC') : '';
  if (!/^[\p{L}\p{N}][\p{L}\p{N}_-]{1,19}$/u.test(username)) throw refusal(400, 'A name has 2 to 20 letters, digits, - and _.');
  if (typeof password !== 'string' || password.length < 8 || password.length > 128) throw refusal(400, 'A password has 8 to 128 characters.');

  const key = username.toLowerCase();
  const user = users.get(key) ?? enrol(key, username, password);
  const [expected, actual] = await Promise.all([user.hash, derive(password, user.salt, 32)]);
  if (!timingSafeEqual(expected, actual)) throw refusal(401, 'This name is taken, and that is not its password.');
  return { id: user.id, username: user.username };
}

/** At once, so that of two who come with the same name at the same time one is the first. */
function enrol(key, username, password) {
  if (users.size >= MOST_USERS) throw refusal(503, 'There are too many users.');
  const salt = randomBytes(16);
  const user = { id: randomUUID(), username, salt, hash: derive(password, salt, 32) };
  users.set(key, user);
  return user;
}

const refusal = (status, message) => Object.assign(new Error(message), { status, expose: true });
