import { expect } from 'chai';
import { packed } from '../../support/packed.ts';
import { both, snippet } from '../../support/snippets.ts';
import { serve, told } from './around.ts';

describe('the first server of those who come from Socket.IO, by require and by import', function () {
  this.timeout(20_000);

  before(async function () {
    this.timeout(120_000);
    await packed();
  });

  it('welcomes, tells everybody, tells one, and says who left and why', async () => both(async (form) => {
    const { connect, until } = await serve(form, snippet('quick-start', 4));
    const [ann, bob, eve] = [await connect(), await connect(), await connect()];
    const welcome = await told(ann, 'welcome');
    const { socketId } = await told(bob, 'welcome');

    void ann.send({ type: 'chat message', content: 'hello' });
    const heard = await Promise.all([ann, bob, eve].map((client) => told(client, 'chat message')));
    void ann.send({ type: 'private message', content: { targetSocketId: socketId, message: 'psst' } });
    const whispered = await told(bob, 'private message');
    // Whatever else there is for her has come before.
    void bob.send({ type: 'chat message', content: 'last' });
    await told(eve, 'chat message');
    await ann.close();

    expect(welcome).to.include({ message: '欢迎连接到服务器' });
    for (const { timestamp, ...said } of heard) {
      expect(said).to.deep.equal({ id: welcome.socketId, message: 'hello' });
      expect(new Date(timestamp).toISOString()).to.equal(timestamp);
    }
    expect(whispered).to.include({ from: welcome.socketId, message: 'psst' });
    expect(eve.messages.map(({ type }) => type)).to.deep.equal(['welcome', 'chat message', 'chat message']);
    await until(new RegExp(`用户断开连接: ${welcome.socketId} 原因: transport close`));
  }));
});
