import { expect } from 'chai';
import { pluginSuite } from './plugin-suite.ts';
import { start } from './start.ts';
import { undoAll } from './cleanup.ts';

describe('start', () => {
  it('returns a running manager', async () => {
    const { manager, connect } = await start({ handlers: [], path: '/here' });
    manager.registerHandler('echo', (message) => message.content);
    const client = await connect();

    const reply = await client.request({ type: 'echo', content: { a: 1 } });

    expect(reply.content).to.deep.equal({ a: 1 });
  });

  it('is stopped with its clients', async () => {
    const { manager, server, connect } = await start({ handlers: [] });
    const client = await connect();

    await undoAll();

    expect(await client.closed).to.have.property('code');
    expect(server.listening).to.be.false;
    expect(manager.connections.size).to.equal(0);
  });
});

pluginSuite('tidy', () => ({
  type: 'plugin',
  name: 'tidy',
  setup(context) {
    context.every(1_000, () => {});
    context.on('connection:added', () => {});
    context.use({ type: 'message', handler: (_message, _connection, next) => next() });
    context.registerHandler('tidy', () => 1);
  },
}), { options: { handlers: [] }, exercise: (_, client) => client.request({ type: 'tidy' }) });
