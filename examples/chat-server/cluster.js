// The chat in two processes behind one port, connected by Redis:
// REDIS_URL=redis://localhost:6379 npm run example:cluster
import cluster from 'node:cluster';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';

const { REDIS_URL, WORKERS = '2', JWT_SECRET = randomBytes(32).toString('base64') } = process.env;

if (!REDIS_URL) {
  console.error('Several processes need Redis: REDIS_URL=redis://localhost:6379 npm run example:cluster');
  process.exit(1);
}

if (cluster.isPrimary) {
  let isStopping = false;
  cluster.setupPrimary({ exec: fileURLToPath(import.meta.url), args: [] });
  const fork = () => cluster.fork({ JWT_SECRET });
  for (let worker = 0; worker < Number(WORKERS); worker++) fork();
  // A worker that crashes is replaced, after a second, so that one that cannot start does not use a whole core.
  cluster.on('exit', (worker, code, signal) => {
    if (isStopping) return;
    console.error(`Process ${worker.process.pid} ended with ${signal ?? code}; another one starts.`);
    setTimeout(() => isStopping || fork(), 1_000);
  });
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, () => {
      isStopping = true;
      for (const worker of Object.values(cluster.workers)) worker.kill(signal);
    });
  }
} else {
  await import('./server.js');
}
