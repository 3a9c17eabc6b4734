import { expect } from 'chai';
import fc from 'fast-check';
import { ModuleError } from '../../src/index.ts';
import { connect } from '../support/client.ts';
import { start } from '../support/start.ts';

/** Every way to write a type: `-`, `_` and a space are the same. */
const spellings = (type: string) => fc.array(fc.constantFrom('-', '_', ' '), { minLength: 8, maxLength: 8 })
  .map((separators) => type.split(/[-_ ]/).reduce((text, part, index) => `${text}${separators[index % 8]!}${part}`));

/** A message with its fields beside the content, in it, or in `data`. */
const places = (type: string, fields: Record<string, unknown>) => [
  { type, ...fields }, { type, content: fields }, { type, data: fields },
  ...Object.keys(fields).map((key) => {
    const { [key]: beside, ...content } = fields;
    return { type, [key]: beside, content };
  }),
];

/** All built-ins that have types, loaded, with the types that they handle. */
async function everything() {
  const { manager, url } = await start({
    plugins: ['rooms', 'presence', 'moderation', 'namespaces', 'private-messages', 'batching', 'events', 'history', 'recovery'],
    middleware: ['permissions'], handlers: ['init', 'text', 'ping', 'system', 'admin'],
  });
  const types = manager.inspect({ detail: true }).flatMap(({ label }) => (label.startsWith('handler ') ? label.slice('handler '.length) : []));
  return { manager, url, types: types.filter((type) => type !== '*') };
}

describe('HOSTILE 37: a guard by name', () => {
  it('HOSTILE 37: applies to every built-in type, in every spelling and with its fields in every place', async () => {
    const { manager, url, types } = await everything();
    const seen: string[] = [];
    manager.use({
      type: 'message', name: 'guard',
      handler(message) {
        seen.push(message.type);
        throw new ModuleError('GUARDED');
      },
    });
    const client = await connect(url);

    await fc.assert(fc.asyncProperty(fc.constantFrom(...types).chain((type) => fc.tuple(fc.constant(type), spellings(type))), async ([type, spelling]) => {
      for (const message of places(spelling, { roomId: 'x', userId: 'y' })) {
        const reply = await client.request(message);
        expect(reply.content.code, spelling).to.equal('GUARDED');
        expect(seen.pop(), spelling).to.equal(type);
      }
    }), { numRuns: 150 });
    expect(types.length).to.be.above(25);
  });

  it('HOSTILE 37: sees the name of the handler that runs', async () => {
    const { manager, connect: join } = await start();
    const names = ['ban-user', 'ban_all', 'delete user', 'plain'];
    for (const name of names) manager.registerHandler(name, ({ type }) => `${name} as ${type}`);
    let seen = '';
    manager.use({ type: 'message', name: 'look', handler: (message, _, next) => { seen = message.type; return next(); } });
    const client = await join();

    await fc.assert(fc.asyncProperty(fc.constantFrom(...names).chain((type) => fc.tuple(fc.constant(type), spellings(type))), async ([type, spelling]) => {
      const reply = await client.request({ type: spelling });

      expect(reply).to.deep.include({ type: spelling, content: `${type} as ${type}` });
      expect(seen).to.equal(type);
    }));
  });

  it('HOSTILE 37: sees an unknown type, and one for a handler of *, as it was sent', async () => {
    const { manager, connect: join } = await start();
    const seen: string[] = [];
    manager.use({ type: 'message', name: 'look', handler: (message, _, next) => { seen.push(message.type); return next(); } });
    const client = await join();

    await client.request({ type: 'no_such type' });
    manager.registerHandler('*', ({ type }) => type);
    const reply = await client.request({ type: 'no_such type' });

    expect(seen).to.deep.equal(['no_such type', 'no_such type']);
    expect(reply.content).to.equal('no_such type');
  });
});
