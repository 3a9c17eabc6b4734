import { expect } from 'chai';
import { ping } from '../../handlers/ping.ts';
import { system } from '../../handlers/system.ts';
import { text } from '../../handlers/text.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start } from '../support/start.ts';

describe('ping', () => {
  it('is answered by pong, with both times', async () => {
    const { connect } = await start();
    const client = await connect();

    const { type, content } = await client.request({ type: 'ping', timestamp: '2026-01-01T00:00:00.000Z' });

    expect(type).to.equal('pong');
    expect(content.clientTime).to.equal('2026-01-01T00:00:00.000Z');
    expect(Math.abs(Date.parse(content.serverTime) - Date.now())).to.be.below(60_000);
  });

  it('takes a timestamp in milliseconds, or none', async () => {
    const { connect } = await start();
    const client = await connect();

    expect((await client.request({ type: 'ping', timestamp: 1_700_000_000_000 })).content.clientTime).to.equal('2023-11-14T22:13:20.000Z');
    expect((await client.request({ type: 'ping' })).content.clientTime).to.equal(null);
  });
});

describe('text', () => {
  it('is acknowledged, and not forwarded', async () => {
    const { connect } = await start();
    const [client, other] = [await connect(), await connect()];

    const reply = await client.request({ type: 'text', content: { text: 'hi' } });
    await other.request({ type: 'ping' });

    expect(reply.type).to.equal('ack');
    expect(other.messages.map(({ type }) => type)).to.not.include('text');
  });

  it('yields to a handler of the application, however late it is registered', async () => {
    const { manager, connect } = await start();
    const client = await connect();
    await client.request({ type: 'text' });
    const undo = manager.registerHandler('text', () => ({ type: 'text', content: 'own' }));

    const own = await client.request({ type: 'text' });
    undo();
    const builtIn = await client.request({ type: 'text' });

    expect([own.type, builtIn.type]).to.deep.equal(['text', 'ack']);
  });
});

describe('the messages of a chat page', () => {
  for (const type of ['image', 'file', 'audio', 'read']) {
    it(`of type ${type} are acknowledged`, async () => {
      const { connect } = await start();

      expect((await (await connect()).request({ type, action: 'send_message', data: {} })).type).to.equal('ack');
    });
  }

  it('of type heartbeat are answered as a ping', async () => {
    const { connect } = await start();

    const reply = await (await connect()).request({ type: 'heartbeat', timestamp: 1_700_000_000_000 });

    expect(reply.type).to.equal('pong');
    expect(reply.content.clientTime).to.equal('2023-11-14T22:13:20.000Z');
  });

  it('have the type that their action names, if they have none', async () => {
    const { manager, connect } = await start();
    manager.registerHandler('send-message', ({ payload, typeAsSent }) => [payload.data ?? payload.content, typeAsSent]);
    const client = await connect();

    await client.send({ id: '1', action: 'send_message', data: 'hi', ack: true });

    expect(await client.next()).to.include({ type: 'send_message', replyTo: '1' }).and.to.have.deep.property('content', ['hi', 'send_message']);
  });
});

describe('system', () => {
  it('is refused from a client with SERVER_ONLY, and sent by the server like any message', async () => {
    const { manager, connect } = await start();
    const client = await connect();

    const refusal = await client.request({ type: 'system', content: { action: 'shutdown' } });
    manager.broadcast({ type: 'system', content: { notice: 'soon' } });

    expect(refusal).to.deep.include({ type: 'error' });
    expect(refusal.content.code).to.equal('SERVER_ONLY');
    expect((await client.next('system')).content).to.deep.equal({ notice: 'soon' });
  });
});

describe('the built-in handlers', () => {
  it('can be left out', async () => {
    const { connect } = await start({ handlers: ['ping'] });

    const { content } = await (await connect()).request({ type: 'init' });

    expect(content.code).to.equal('UNKNOWN_TYPE');
  });
});

for (const [name, make] of Object.entries({ ping, text, system })) {
  pluginSuite(name, () => make(), { options: { handlers: [] }, exercise: (_, client) => client.request({ type: name }) });
}
