import { expect } from 'chai';
import { setImmediate as turn } from 'node:timers/promises';
import type { Plugin } from '../../../src/contracts.ts';
import { EventNames } from '../../../src/runtime/event-names.ts';
import { members } from '../../support/documents.ts';
import { deferred, recorder, startKernel } from '../start-kernel.ts';

const listen = (manager: Awaited<ReturnType<typeof startKernel>>['manager'], ...names: string[]) => {
  for (const name of names) manager.on(name as never, (() => undefined) as never);
};
/** A plugin that says which events it emits. */
const emitter = (name: string, events: readonly string[], setup: () => unknown = () => undefined): Plugin => ({ type: 'plugin', name, events, setup });

describe('manager.on() with an event that nothing emits', () => {
  it('causes one warning, with the nearest name', async () => {
    const logger = recorder();
    const { manager } = await startKernel({ logger });

    listen(manager, 'connection:aded', 'connection:aded', 'disconnect', 'nothing-like-it');
    await turn();

    expect(logger.lines).to.deep.equal([
      'websocket:manager on("connection:aded"): neither the kernel nor a loaded plugin emits this event; did you mean "connection:added"?',
      'websocket:manager on("disconnect"): neither the kernel nor a loaded plugin emits this event; did you mean "connection:removed"?',
      'websocket:manager on("nothing-like-it"): neither the kernel nor a loaded plugin emits this event; a plugin lists its events in its field "events"',
    ]);
  });

  it('causes no warning when a plugin that is loaded later, or still loading, declares it', async () => {
    const logger = recorder();
    const { manager } = await startKernel({ logger });
    const loading = deferred();

    listen(manager, 'polls:opened', 'votes:counted');
    manager.use([emitter('polls', ['polls:opened']), emitter('votes', ['votes:counted'], () => loading.promise)]);
    await turn();
    loading.resolve();
    await manager.ready();
    await turn();

    expect(logger.lines).to.deep.equal([]);
  });

  it('causes no warning while a plugin fails to load', async () => {
    const logger = recorder();
    const { manager } = await startKernel({ logger });

    listen(manager, 'polls:opened');
    manager.use(emitter('polls', ['polls:opened'], () => { throw new Error('no database'); }));
    await turn();

    expect(logger.lines).to.deep.equal([]);
  });

  it('causes a warning after its plugin was unloaded', async () => {
    const logger = recorder();
    const { manager } = await startKernel({ logger, use: [emitter('polls', ['polls:opened'])] });
    listen(manager, 'polls:opened', 'polls:opend');
    await turn();
    const before = logger.lines.splice(0);

    await manager.unload('polls');
    listen(manager, 'polls:opened');
    await turn();

    expect(before).to.have.lengthOf(1).and.to.satisfy(([line]: string[]) => line!.endsWith('did you mean "polls:opened"?'));
    expect(logger.lines).to.have.lengthOf(1);
  });

  it('rejects a listener that is not a function', async () => {
    const { manager } = await startKernel();

    expect(() => manager.on('error', undefined as never)).to.throw('the handler of "error" must be a function, but is undefined').with.property('code', 'HANDLER_INVALID');
  });
});

describe('the names of events', () => {
  it('include each event of the kernel', () => {
    const names = new EventNames();

    expect(members('src/contracts.ts', 'Hooks').filter((name) => !names.has(name))).to.deep.equal([]);
  });

  it('cause at most one hundred warnings', () => {
    const names = new EventNames();

    const told = Array.from({ length: 1_000 }, (_, index) => names.warning(`unknown-${index}`)).filter((warning) => warning !== undefined);

    expect(told).to.have.lengthOf(100);
  });
});
