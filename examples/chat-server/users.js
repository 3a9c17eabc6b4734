// Stands for your database of users. The first sign-in with a name sets its password, until the server ends.
import { randomBytes, randomUUID, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(scrypt);
const users = new Map();
const MAX_USERS = 10_000;

/** Returns `{ id, username }`. Throws errors with an HTTP status. Their messages may be sent to the client. */
export async function signIn(given, password) {
  const username = typeof given === 'string' ? given.normalize('NFKC') : '';
  if (!/^[\p{L}\p{N}][\p{L}\p{N}_-]{1,19}$/u.test(username)) {
    throw refusal(400, 'A name has 2 to 20 letters, digits, - and _.');
  }
  if (typeof password !== 'string' || password.length < 8 || password.length > 128) {
    throw refusal(400, 'A password has 8 to 128 characters.');
  }

  const key = username.toLowerCase();
  const user = users.get(key) ?? enrol(key, username, password);
  const [expected, actual] = await Promise.all([user.hash, derive(password, user.salt, 32)]);
  if (!timingSafeEqual(expected, actual)) throw refusal(401, 'This name is taken, and the password is wrong.');
  return { id: user.id, username: user.username };
}

/** Synchronous, so that two sign-ins with the same name at the same time do not both create a user. */
function enrol(key, username, password) {
  if (users.size >= MAX_USERS) throw refusal(503, 'There are too many users.');
  const salt = randomBytes(16);
  const user = { id: randomUUID(), username, salt, hash: derive(password, salt, 32) };
  users.set(key, user);
  return user;
}

const refusal = (status, message) => Object.assign(new Error(message), { status, expose: true });
