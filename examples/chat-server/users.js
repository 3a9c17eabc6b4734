// Stands for your database of users. The first sign-in with a name sets its password: until the server ends, or with
// REDIS_URL, for all processes that use this Redis.
import { randomBytes, randomUUID, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(scrypt);
const users = process.env.REDIS_URL ? await redisUsers(process.env.REDIS_URL) : new Map();
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
  const user = (await users.get(key)) ?? (await enrol(key, username, password));
  const actual = await derive(password, Buffer.from(user.salt, 'base64'), 32);
  if (!timingSafeEqual(Buffer.from(user.hash, 'base64'), actual)) {
    throw refusal(401, 'This name is taken, and the password is wrong.');
  }
  return { id: user.id, username: user.username };
}

/** Returns the user that is stored, which may be another one after two sign-ins with the same name at the same time. */
async function enrol(key, username, password) {
  if (await size() >= MAX_USERS) throw refusal(503, 'There are too many users.');
  const salt = randomBytes(16);
  const hash = await derive(password, salt, 32);
  const user = { id: randomUUID(), username, salt: salt.toString('base64'), hash: hash.toString('base64') };
  if (!(await users.get(key))) await users.set(key, user);
  return users.get(key);
}

const size = async () => users.size ?? users.count();

/** The users in a hash of Redis. A name that is taken is not written again. */
async function redisUsers(url) {
  const { createClient } = await import('redis');
  const client = createClient({ url });
  client.on('error', (error) => console.error(`Redis: ${error.message}`));
  await client.connect();
  return {
    get: async (key) => JSON.parse((await client.hGet('chat:users', key)) ?? 'null') ?? undefined,
    set: (key, user) => client.hSetNX('chat:users', key, JSON.stringify(user)),
    count: () => client.hLen('chat:users'),
  };
}

const refusal = (status, message) => Object.assign(new Error(message), { status, expose: true });
