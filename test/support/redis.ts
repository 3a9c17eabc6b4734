import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { cleanup, cleanupOfFile } from './cleanup.ts';
import { freePort } from './free-port.ts';
import { tool } from './tools.ts';

/** A real redis-server on a port of its own. It keeps its port, but not its data, over restarts. */
export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** Sends one command on a connection of its own. */
  command(...args: readonly string[]): Promise<unknown>;
  /** Starts it again on the same port, after kill() or shutdown(). @param args replace those of before, if given */
  restart(args?: readonly string[]): Promise<void>;
  /** Ends it at once, as `kill -9` does. */
  kill(): Promise<void>;
  /** Ends it in good order. */
  shutdown(): Promise<void>;
  /** Suspends it: connections stay open, and are silent. */
  pause(): void;
  resume(): void;
}

export interface RedisServerOptions {
  /** Parameters of redis-server, as `['--maxmemory-policy', 'allkeys-lru']`. */
  readonly args?: readonly string[];
  /** Ends it after the last test of the file, and not after the current test. */
  readonly forFile?: boolean;
}

/** Starts a redis-server on a free port of the loopback. Killed when the test, or the file, is over. */
export async function redisServer({ args = [], forFile = false }: RedisServerOptions = {}): Promise<RedisServer> {
  const program = tool('redis-server');
  const dir = mkdtempSync(join(tmpdir(), 'redis-'));
  let current: ChildProcess | undefined;
  let parameters = args;
  (forFile ? cleanupOfFile : cleanup)(async () => {
    await end('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  });
  const port = await startOnFreePort();

  async function launch(on: number): Promise<void> {
    const fixed = ['--port', String(on), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir];
    const child = spawn(program, [...fixed, ...parameters], { stdio: ['ignore', 'pipe', 'pipe'] });
    current = child;
    let output = '';
    await new Promise<void>((resolve, reject) => {
      const read = (chunk: Buffer): void => {
        output += chunk.toString();
        if (output.includes('Ready to accept connections')) resolve();
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      child.on('error', reject);
      child.on('exit', (code, signal) => reject(new Error(`redis-server ended with ${code ?? signal}:\n${output}`)));
    });
  }

  // Another process may take the port between the question and the start.
  async function startOnFreePort(): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      const free = await freePort();
      try {
        await launch(free);
        return free;
      } catch (error) {
        if (attempt === 5 || !(error as Error).message.includes('Address already in use')) throw error;
      }
    }
  }

  async function end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (current?.exitCode !== null || current.signalCode !== null) return;
    const exited = once(current, 'exit');
    current.kill(signal);
    await exited;
  }

  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    command: (...parts) => redisCommand(port, parts),
    async restart(next) {
      if (next) parameters = next;
      await launch(port);
    },
    kill: () => end('SIGKILL'),
    async shutdown() {
      current?.kill('SIGCONT');
      await end('SIGTERM');
    },
    pause: () => void current?.kill('SIGSTOP'),
    resume: () => void current?.kill('SIGCONT'),
  };
}

/** A client to duplicate: createClient() builds a class with all commands each time, which takes long. */
const template = createClient();

/** Sends one command on a connection of its own. */
export async function redisCommand(port: number, parts: readonly string[]): Promise<unknown> {
  const client = template.duplicate({ socket: { host: '127.0.0.1', port, reconnectStrategy: false } });
  client.on('error', () => { /* it also rejects the command */ });
  await client.connect();
  try {
    return await client.sendCommand([...parts]);
  } finally {
    client.destroy();
  }
}
