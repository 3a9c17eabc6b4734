import { expect } from 'chai';
import type { FindRoute } from '../../../src/contracts.ts';
import type { Route } from '../../../src/protocol.ts';
import { deferred, plugin, startKernel } from '../start-kernel.ts';

/** A kernel whose plugin routes `ask…` to a table of its own, and what a layer around it sees. */
async function routing(find: (type: string) => Route | undefined, options: Parameters<typeof startKernel>[0] = {}) {
  const kernel = await startKernel(options);
  const seen: string[] = [];
  const route: FindRoute = ({ type }) => (type.startsWith('ask') ? find(type) : undefined);
  kernel.manager.use(plugin('router', (context) => context.route(route)));
  kernel.manager.use({
    type: 'message',
    name: 'look',
    handler(message, _, next) {
      seen.push(message.type);
      return next();
    },
  });
  await kernel.manager.ready();
  kernel.manager.registerHandler('next', () => 'served');
  return { ...kernel, seen, client: await kernel.connect() };
}

describe('a route', () => {
  it('names the type before the first layer runs', async () => {
    const { client, seen } = await routing(() => ({ type: 'ask-registered', handler: ({ type }) => type }));

    const reply = await client.request({ type: 'ask_registered' });

    expect(reply).to.deep.include({ type: 'ask_registered', content: 'ask-registered' });
    expect(seen).to.deep.equal(['ask-registered']);
  });

  it('that is not known yet delays the message before all layers, and is looked up again', async () => {
    const { promise, resolve } = deferred();
    let isKnown = false;
    const { client, manager, seen } = await routing(() => (isKnown
      ? { type: 'ask-known', handler: ({ type }) => `handled as ${type}` }
      : { type: '*', handler: () => 'too early', until: promise }));
    const received = new Promise((heard) => manager.on('message:received', heard));
    const asked = client.request({ type: 'ask_known' });
    await received;
    const seenEarly = [...seen];

    isKnown = true;
    resolve();

    expect((await asked).content).to.equal('handled as ask-known');
    expect(seenEarly).to.deep.equal([]);
    expect(seen).to.deep.equal(['ask-known']);
  });

  it('may ask a message to wait more than once, and messages behind it keep their order', async () => {
    const [first, second] = [deferred(), deferred()];
    const waits = [first.promise, second.promise];
    const { client, seen } = await routing((type) => {
      const until = waits.shift();
      return { type, handler: () => 'handled', ...(until && { until }) };
    });
    const asked = client.request({ type: 'ask' });
    const behind = client.request({ type: 'next' });

    first.resolve();
    second.resolve();
    await Promise.all([asked, behind]);

    expect(seen).to.deep.equal(['ask', 'next']);
  });

  it('that never becomes known ends the message with HANDLER_TIMEOUT, and one that fails with its error', async () => {
    const waits = [new Promise<void>(() => undefined), Promise.reject(new Error('a secret'))];
    waits[1]!.catch(() => undefined);
    const find = (type: string): Route => ({ type, handler: () => 'handled', until: waits.shift()! });
    const { client, manager, seen } = await routing(find, { message: { timeout: 30 } });
    const errors: string[] = [];
    manager.on('error', ({ message }) => errors.push(message));

    const late = await client.request({ type: 'ask' });
    const failed = await client.request({ type: 'ask' });

    expect([late.content.code, failed.content.code]).to.deep.equal(['HANDLER_TIMEOUT', 'INTERNAL_ERROR']);
    expect(errors).to.deep.equal(['a secret']);
    expect(seen).to.deep.equal([]);
  });
});
