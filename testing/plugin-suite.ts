import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import type { EventEmitter } from 'node:events';
import type { Usable } from '../index.ts';
import { register, type SuiteOptions, type TestCase } from './cases.ts';
import { withCleanups } from './cleanup.ts';
import type { Client, ConnectOptions } from './client.ts';
import { eventually } from './eventually.ts';
import { start, type Manager, type StartOptions, type Started } from './start.ts';

export interface PluginCaseOptions {
  /** Creates the plugins that must be loaded before. Called for each test. */
  readonly requires?: (() => readonly Usable[]) | undefined;
  /** The options of the manager. */
  readonly options?: StartOptions | undefined;
  /** The options of the client. */
  readonly client?: ConnectOptions | undefined;
  /** Uses the plugin. Called each time after the plugin is loaded. @default sends a ping */
  readonly exercise?: ((started: Started, client: Client) => Promise<unknown>) | undefined;
}

export interface PluginSuiteOptions extends PluginCaseOptions, SuiteOptions {}

/** Starts a server with the required plugins, and with more. */
type Begin = (...more: readonly Usable[]) => Promise<Started>;

const ping = (_: Started, client: Client) => client.request({ type: 'ping' });

/**
 * Registers the tests that every plugin and layer must pass. The plugin is loaded and unloaded three times while a
 * client is connected, and must leave nothing behind: no handler, listener, layer, subscription or timer. The failure
 * lists each leak with its owner and label.
 *
 * @param name the name of the plugin, for unload()
 * @param make creates the plugin; called each time it is loaded
 * @throws OPTION_INVALID if no runner is given and there are no globals `describe` and `it`
 * @example pluginSuite('polls', () => polls(), { requires: () => [rooms()] });
 */
export function pluginSuite(name: string, make: () => Usable, options: PluginSuiteOptions = {}): void {
  register(`${name}, loaded and unloaded`, pluginCases(name, make, options), options.runner);
}

/** The tests of `pluginSuite()` as a list, for a runner without `describe` and `it`. */
export function pluginCases(
  name: string, make: () => Usable, options: PluginCaseOptions = {},
): readonly TestCase[] {
  const { requires = () => [], client: connectOptions, exercise = ping } = options;
  const test = (title: string, body: (begin: Begin) => Promise<void>): TestCase => ({
    title,
    run: () => withCleanups((cleanups) => body(async (...more) => {
      const use = [...options.options?.use ?? [], ...requires(), ...more];
      const started = await start({ ...options.options, use });
      cleanups.add(started.stop);
      return started;
    })),
  });

  return [
    test('leaves no trace after three times under a connected client', async (begin) => {
      // Created before the manager: the clock of a manager has one timer, and creates it again after it has fired.
      const timers = countTimers();
      const timersLeft: number[] = [];
      try {
        const started = await begin();
        const { manager, server } = started;
        const client = await started.connect(connectOptions);
        const before = trace(manager, server);
        const timersBefore = timers.alive();

        for (let round = 0; round < 3; round++) {
          manager.use(make());
          await manager.ready();
          assert.notDeepEqual(trace(manager, server), before, 'a loaded plugin has added something');
          await exercise(started, client);
          await manager.unload(name);
          // Node reports a destroyed timer some turns later, and a socket of the test may still be closing: wait for
          // these, since only a leak remains. `eventually` itself has one timer. In the first round, the kernel may
          // create a timer that it keeps.
          const expected = timersLeft[0] ?? timersBefore + 1;
          await eventually('timers as before', () => timers.alive() <= expected, 1_000).catch(() => undefined);
          timersLeft.push(timers.alive());
        }

        const after = trace(manager, server);
        // Compared first, because a difference of whole lists is hard to read.
        assert.deepEqual(additions(after.added, before.added), [], 'the plugin left something behind');
        assert.deepEqual(after, before);
      } finally {
        timers.stop();
      }

      // The first round may start a timer of the kernel; later rounds must not add one.
      assert.ok(timersLeft[2]! <= timersLeft[0]!, `timers alive after each round: ${timersLeft.join(', ')}`);
    }),

    test('keeps the client connected and served after it is unloaded', async (begin) => {
      const { manager, connect } = await begin();
      const client = await connect(connectOptions);
      manager.use(make());
      await manager.ready();

      await manager.unload(name);

      manager.registerHandler('hygiene', () => 'served');
      const reply = await client.request({ type: 'hygiene' });
      assert.equal(reply.content, 'served');
    }),

    test('is undone when the manager stops', async (begin) => {
      const before = listeners(process);
      const started = await begin(make());
      await exercise(started, await started.connect(connectOptions));

      await started.manager.stop();

      assert.deepEqual(listeners(process), before);
    }),
  ];
}

/** Lists everything that a plugin could leave behind. */
function trace(manager: Manager, server: EventEmitter) {
  const added = manager.inspect({ detail: true }).map(({ owner, label }) => `${owner}: ${label}`).sort();
  return { ...manager.inspect(), added, server: listeners(server), process: listeners(process) };
}

/** The lines of a list that are not in another list. A line may be in a list several times. */
function additions(list: readonly string[], other: readonly string[]): string[] {
  const rest = [...other];
  return list.filter((line) => {
    const index = rest.indexOf(line);
    if (index >= 0) rest.splice(index, 1);
    return index < 0;
  });
}

function listeners(emitter: EventEmitter): Record<string, number> {
  const counts = emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)] as const);
  return Object.fromEntries(counts.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Counts the running timers that were created after this call, even unreferenced ones, which Node does not list. */
function countTimers() {
  const alive = new Set<number>();
  const hook = createHook({
    init(id, type) { if (type === 'Timeout') alive.add(id); },
    destroy(id) { alive.delete(id); },
  }).enable();
  return { alive: () => alive.size, stop: () => hook.disable() };
}
