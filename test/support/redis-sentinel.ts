import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cleanup } from './cleanup.ts';
import { freePort } from './free-port.ts';
import { redisCommand } from './redis.ts';
import { eventually } from './timing.ts';
import { tool } from './tools.ts';

export interface Sentinel {
  readonly port: number;
  command(...args: readonly string[]): Promise<unknown>;
}

/** Starts a sentinel of a primary, which it calls `main`. Resolves when it knows a replica. Killed when the test is over. */
export async function redisSentinel(primary: number): Promise<Sentinel> {
  const dir = mkdtempSync(join(tmpdir(), 'sentinel-'));
  const config = join(dir, 'sentinel.conf');
  const port = await freePort();
  writeFileSync(config, [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${dir}`,
    `sentinel monitor main 127.0.0.1 ${primary} 1`,
    'sentinel down-after-milliseconds main 1000',
    'sentinel failover-timeout main 3000',
  ].join('\n'));
  const child = spawn(tool('redis-server'), [config, '--sentinel'], { stdio: 'ignore' });
  cleanup(() => {
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  });
  const sentinel: Sentinel = {
    port,
    command: (...parts) => redisCommand(port, parts),
  };
  await eventually('the sentinel to know the replica', async () => {
    const replicas = await sentinel.command('SENTINEL', 'REPLICAS', 'main').catch(() => []);
    return /"master-link-status"[,:]"ok"/.test(JSON.stringify(replicas));
  }, 20_000);
  return sentinel;
}
