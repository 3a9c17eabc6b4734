import { createHook } from 'node:async_hooks';
import type { EventEmitter } from 'node:events';
import { expect } from 'chai';
import type { Usable } from '../../index.ts';
import type { Client, ConnectOptions } from './client.ts';
import { eventually } from './timing.ts';
import { start, type Manager, type StartOptions, type Started } from './start.ts';

export interface PluginSuiteOptions {
  /** What it needs loaded before it. */
  readonly requires?: () => readonly Usable[];
  /** How the manager is made. */
  readonly options?: StartOptions;
  /** How the client that is there all the time connects. */
  readonly client?: ConnectOptions;
  /** Uses it, each time it is loaded. By default a ping, answered. */
  readonly exercise?: (started: Started, client: Client) => Promise<unknown>;
}

const ping = (_: Started, client: Client) => client.request({ type: 'ping' });

/**
 * The hygiene that every plugin and layer owes: loaded and unloaded three times on a live manager under a connected
 * client, it leaves registries, listeners and timers as they were. A leak is named: owner and label of what stayed.
 *
 * @param name the name it is unloaded by
 */
export function pluginSuite(name: string, make: () => Usable, options: PluginSuiteOptions = {}): void {
  const { requires = () => [], client: connectOptions, exercise = ping } = options;

  describe(`${name}, loaded and unloaded`, () => {
    it('leaves no trace after three times under a connected client', async () => {
      // From before there is a clock, whose one timer is made anew whenever it has rung.
      const timers = countTimers();
      const started = await start({ ...options.options, use: [...options.options?.use ?? [], ...requires()] });
      const { manager, server } = started;
      const client = await started.connect(connectOptions);
      const before = trace(manager, server);
      const timersBefore = timers.alive();
      const timersLeft: number[] = [];

      try {
        for (let round = 0; round < 3; round++) {
          manager.use(make());
          await manager.ready();
          expect(trace(manager, server), 'it is loaded, so something is there').to.not.deep.equal(before);
          await exercise(started, client);
          await manager.unload(name);
          // Node reports a destroyed timer some turns late, and a socket of the test may still be closing; a leak
          // stays.
          // `eventually` itself has one timer. Timers that the first round leaves in the kernel are waited for once.
          const expected = timersLeft[0] ?? timersBefore + 1;
          await eventually('timers as before', () => timers.alive() <= expected, 1_000).catch(() => undefined);
          timersLeft.push(timers.alive());
        }
      } finally {
        timers.stop();
      }

      expect(trace(manager, server)).to.deep.equal(before);
      // The first round may warm up a clock that the kernel shares and keeps; the others may add nothing to it.
      expect(timersLeft[2], `timers alive after each round: ${timersLeft.join(', ')}`).to.be.at.most(timersLeft[0]!);
    });

    it('is still connected and served afterwards', async () => {
      const started = await start({ ...options.options, use: [...options.options?.use ?? [], ...requires()] });
      const client = await started.connect(connectOptions);
      started.manager.use(make());
      await started.manager.ready();

      await started.manager.unload(name);

      started.manager.registerHandler('hygiene', () => 'served');
      const reply = await client.request({ type: 'hygiene' });
      expect(reply.content).to.equal('served');
    });

    it('goes with the manager', async () => {
      const process = listeners(globalThis.process);
      const started = await start({ ...options.options, use: [...options.options?.use ?? [], ...requires(), make()] });
      await exercise(started, await started.connect(connectOptions));

      await started.manager.stop();

      expect(listeners(globalThis.process)).to.deep.equal(process);
    });
  });
}

/** Everything that something loaded could leave behind. */
function trace(manager: Manager, server: EventEmitter) {
  const added = manager.inspect({ detail: true }).map(({ owner, label }) => `${owner}: ${label}`).sort();
  return { ...manager.inspect(), added, server: listeners(server), process: listeners(process) };
}

function listeners(emitter: EventEmitter): Record<string, number> {
  const counts = emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)] as const);
  return Object.fromEntries(counts.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Counts the timers made from now on that are still running, the unreferenced ones too, of which Node has no list.
 */
function countTimers() {
  const alive = new Set<number>();
  const hook = createHook({
    init(id, type) { if (type === 'Timeout') alive.add(id); },
    destroy(id) { alive.delete(id); },
  }).enable();
  return { alive: () => alive.size, stop: () => hook.disable() };
}
