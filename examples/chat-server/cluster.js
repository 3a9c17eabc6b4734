// The chat in two processes behind one port, connected by Redis:
// REDIS_URL=redis://localhost:6379 npm run example:cluster
import { randomBytes } from 'node:crypto';
import { startCluster } from 'websocket-module/adapters/cluster';

const { REDIS_URL, WORKERS = '2', JWT_SECRET = randomBytes(32).toString('base64') } = process.env;

// The accounts of the users are in Redis, too: see users.js.
if (!REDIS_URL) {
  console.error('Several processes need Redis: REDIS_URL=redis://localhost:6379 npm run example:cluster');
  process.exit(1);
}

await startCluster({
  file: new URL('server.js', import.meta.url),
  workers: Number(WORKERS),
  // All processes must accept the tokens of the others.
  env: { JWT_SECRET },
});
