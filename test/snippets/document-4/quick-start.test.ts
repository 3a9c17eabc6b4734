import { expect } from 'chai';
import { packed } from '../../support/packed.ts';
import { both, snippet } from '../../support/snippets.ts';
import { serve, told } from './around.ts';

// The block does not run unchanged yet: a stand-in gives it the function that `socket.io` exports.
describe('block 4-01, a first server for Socket.IO, by require and by import', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('welcomes, carries messages to all and to one, and logs why a client left', async () => both(async (form) => {
    const { connect, until } = await serve(form, snippet('4-01-quick-start'));
    const [ann, bob, eve] = [await connect(), await connect(), await connect()];
    const welcome = await told(ann, 'welcome');
    const { socketId } = await told(bob, 'welcome');

    void ann.send({ type: 'chat message', content: 'hello' });
    const heard = await Promise.all([ann, bob, eve].map((client) => told(client, 'chat message')));
    void ann.send({ type: 'private message', content: { targetSocketId: socketId, message: 'psst' } });
    const whispered = await told(bob, 'private message');
    // Everything for this client has come before the last message.
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
