import type { Load, Traffic } from './traffic.ts';

/** Clients come, and go at once, so many at a time. What is counted is those that came and went by the book. */
export function churn(load: Load, atOnce: number): Traffic {
  let running = false;
  let all: Promise<unknown> = Promise.resolve();
  let count = 0;

  const comeAndGo = async (): Promise<void> => {
    const client = await load.connect();
    await client.close();
    count++;
  };

  const keepOn = async (): Promise<void> => {
    while (running) await comeAndGo();
  };

  return {
    get count() { return count; },
    prove: comeAndGo,
    start() {
      running = true;
      all = Promise.all(Array.from({ length: atOnce }, keepOn));
    },
    async stop() {
      running = false;
      await all;
    },
  };
}
