import { expect } from 'chai';
import { RedisAdapter } from '../../adapters/redis.ts';
import { history } from '../../plugins/history.ts';
import { knowEachOther } from '../support/nodes.ts';
import { redisServer } from '../support/redis.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

describe('history on several nodes over Redis', () => {
  async function serve() {
    const server = await redisServer();
    const nodes = await Promise.all(['a', 'b'].map(async (nodeId) => {
      const use = [history({ topics: { news: {} }, canRead: () => true })];
      const started = await start({ nodeId, adapter: new RedisAdapter({ url: server.url }), use });
      const client = await started.connect();
      return { ...started, client, api: started.manager.api('history') };
    }));
    await knowEachOther(...nodes);
    for (const { client } of nodes) await client.request({ type: 'subscribe', topic: 'news' });
    return { server, nodes };
  }

  it('delivers each message once, in one order, to the clients of all nodes', async () => {
    const { nodes } = await serve();

    await Promise.all(Array.from({ length: 100 }, (_, index) => nodes[index % 2]!.api.append('news', { type: 'n', content: index })));
    const got = () => nodes.map(({ client }) => client.messages.filter(({ type }) => type === 'n'));
    await eventually('all messages', () => got().every(({ length }) => length >= 100) || got().map(({ length }) => length));

    const [a, b] = got();
    expect(a!.map(({ offset }) => offset)).to.deep.equal(Array.from({ length: 100 }, (_, index) => index + 1));
    expect(b!.map(({ content }) => content)).to.deep.equal(a!.map(({ content }) => content));
  });

  it('tells clients of a new epoch after Redis lost its data', async () => {
    const { server, nodes } = await serve();
    await nodes[0]!.api.append('news', { type: 'n', content: 'old' });
    for (const { client } of nodes) await client.next('n');

    await server.command('FLUSHALL');
    await nodes[0]!.api.append('news', { type: 'n', content: 'new' });

    for (const { client } of nodes) {
      expect((await client.next('messages-missed')).content).to.include({ recovered: false, reason: 'epoch' });
      expect((await client.next('n')).content).to.equal('new');
    }
  });
});
