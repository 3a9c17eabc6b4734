import { expect } from 'chai';
import { MemoryAdapter } from '../../../adapters/memory.ts';
import { RedisAdapter } from '../../../adapters/redis.ts';
import { privateMessages, type PrivateMessagesOptions } from '../../../plugins/private-messages.ts';
import type { Client } from '../../support/client.ts';
import { knowEachOther } from '../../support/nodes.ts';
import { redisServer } from '../../support/redis.ts';
import type { StartOptions } from '../../support/start.ts';
import { eventually } from '../../support/timing.ts';
import { serve } from '../rooms/serving.ts';

const node = (adapter: StartOptions['adapter'], options: PrivateMessagesOptions = { inbox: true }, nodeId?: string) =>
  serve({}, { adapter, ...(nodeId !== undefined && { nodeId }), use: [privateMessages(options)] });
const write = (client: Client, to: string, content: string) => client.request({ type: 'private-message', to, content });
const lettersOf = (client: Client) => client.messages.filter(({ type }) => type === 'private-message');
const textsOf = (client: Client) => lettersOf(client).map(({ content }) => content.content as string);
const arrived = (client: Client, count: number) =>
  eventually(`${count} messages arrive`, () => lettersOf(client).length === count || textsOf(client));

describe('the inbox of private messages', () => {
  it('is delivered in order on the node where the user comes back, until each message is confirmed', async () => {
    const bus = {};
    const [here, there] = [await node(new MemoryAdapter(bus)), await node(new MemoryAdapter(bus))];
    await knowEachOther(here, there);
    const { client: anna } = await here.guest('anna');
    const replies = [await write(anna, 'ben', 'one'), await write(anna, 'ben', 'two')];

    const { client: ben } = await there.guest('ben');
    await arrived(ben, 2);
    const [first] = lettersOf(ben);
    void ben.send({ type: 'message-delivered', messageId: first!.id });
    const receipt = await anna.next('message-delivered');
    await ben.terminate();
    const { client: again } = await here.guest('ben');
    await arrived(again, 1);

    expect(replies.map(({ content }) => content.status as string)).to.deep.equal(['stored', 'stored']);
    expect(textsOf(ben)).to.deep.equal(['one', 'two']);
    expect(textsOf(again)).to.deep.equal(['two']);
    expect(receipt.content).to.deep.equal({ messageId: first!.id, by: 'ben' });
    expect([...here.errors, ...there.errors]).to.deep.equal([]);
  });

  it('survives the restart of all nodes, with Redis', async () => {
    const { url } = await redisServer();
    const first = await node(new RedisAdapter({ url }));
    await write((await first.guest('anna')).client, 'ben', 'hi');
    await first.manager.stop();

    const second = await node(new RedisAdapter({ url }));
    const { client: ben } = await second.guest('ben');

    await arrived(ben, 1);
    expect(textsOf(ben)).to.deep.equal(['hi']);
  });

  it('is limited for each user and for all users, and has room again after a confirmation', async () => {
    const one = await node(new MemoryAdapter(), { inbox: { maxPerUser: 1, maxInAll: 2 } });
    const { client: anna } = await one.guest('anna');
    await write(anna, 'ben', 'one');
    await write(anna, 'carl', 'one');

    const replies = [await write(anna, 'ben', 'two'), await write(anna, 'dora', 'one')];
    const { client: ben } = await one.guest('ben');
    await arrived(ben, 1);
    void ben.send({ type: 'message-read', messageId: lettersOf(ben)[0]!.id });

    expect(replies.map(({ content }) => content.code as string)).to.deep.equal(['INBOX_LIMIT', 'INBOX_LIMIT']);
    await eventually('there is room', async () => (await write(anna, 'dora', 'one')).type === 'message-sent');
  });

  it('gives each message to one connection when there are no receipts', async () => {
    const one = await node(new MemoryAdapter(), { inbox: true, maxReceipts: 0 });
    const { client: anna } = await one.guest('anna');
    await write(anna, 'ben', 'hi');

    const { client: ben } = await one.guest('ben');
    await arrived(ben, 1);
    const { client: phone, ask } = await one.guest('ben');
    await ask('who');

    expect(textsOf(phone)).to.deep.equal([]);
  });

  it('needs a store, and excludes "offline"', async () => {
    expect(() => privateMessages({ inbox: true, offline: () => undefined })).to.throw().with.property('code', 'OPTION_INVALID');
    expect(() => privateMessages({ inbox: { maxPerUser: 0 } })).to.throw().with.property('code', 'OPTION_INVALID');
    const started = await node(undefined).catch((error: unknown) => error);
    expect(started).to.have.property('code', 'INBOX_UNSHARED');
  });
});

describe('receipts on several nodes', () => {
  it('are forwarded when the recipient has moved to another node', async () => {
    const bus = {};
    const [here, there] = [await node(new MemoryAdapter(bus), {}), await node(new MemoryAdapter(bus), {})];
    await knowEachOther(here, there);
    const [{ client: anna }, { client: ben }] = [await here.guest('anna'), await here.guest('ben')];
    const { content } = await write(anna, 'ben', 'hi');
    await ben.terminate();

    const { client: moved } = await there.guest('ben');
    void moved.send({ type: 'message-read', messageId: content.messageId });

    expect((await anna.next('message-read')).content).to.deep.equal({ messageId: content.messageId, by: 'ben' });
    const refused = await moved.request({ type: 'message-read', messageId: 'unknown' });
    expect(refused.content.code).to.equal('MESSAGE_UNKNOWN');
  });
});
