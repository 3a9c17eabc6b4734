import { expect } from 'chai';
import type { Codec } from '../../../src/protocol.ts';
import { eventually } from '../../support/timing.ts';
import { only, plugin, startKernel } from '../start-kernel.ts';

/** JSON in base64, as a binary frame. */
const base64: Codec = {
  name: 'base64',
  binary: true,
  encode: (message) => Buffer.from(Buffer.from(JSON.stringify(message)).toString('base64')),
  decode: (frame) => JSON.parse(Buffer.from(frame.toString(), 'base64').toString()) as unknown,
};
const pack = (message: object): Buffer => Buffer.from(Buffer.from(JSON.stringify(message)).toString('base64'));
const unpack = (content: Buffer): { type: string; content: unknown } => JSON.parse(Buffer.from(content.toString(), 'base64').toString()) as never;

const codecs = plugin('codecs', (context) => { context.transport({ codecs: [base64] }); });
const compression = (threshold = 100) => plugin('compression', (context) => { context.transport({ compression: { threshold } }); });

describe('a codec', () => {
  it('is chosen by the subprotocol of each connection, in both directions', async () => {
    const { manager, connect } = await startKernel({ use: [codecs] });
    manager.registerHandler('ask', (message) => message.content as number);
    const [plain, packed] = [await connect(), await connect({ protocols: ['base64'] })];

    await packed.send(pack({ type: 'ask', content: 5 }));
    const reply = unpack((await packed.next('binary')).content as Buffer);
    await eventually('both', () => manager.connections.size === 2);
    manager.broadcast({ type: 'tick', content: 7 });

    expect(packed.ws.protocol).to.equal('base64');
    expect(reply).to.include({ type: 'ask', content: 5 });
    expect(await plain.next('tick')).to.include({ content: 7 });
    expect(unpack((await packed.next('binary')).content as Buffer)).to.include({ type: 'tick', content: 7 });
  });

  it('that is binary rejects text frames', async () => {
    const { connect } = await startKernel({ use: [codecs] });
    const client = await connect({ protocols: ['base64'] });

    await client.send('{"type":"ask"}');

    expect(unpack((await client.next('binary')).content as Buffer).content).to.include({ code: 'INVALID_MESSAGE' });
  });

  it('that throws while decoding causes an error reply, and the next message is handled', async () => {
    const { manager, connect } = await startKernel({ use: [codecs] });
    manager.registerHandler('ask', () => 1);
    const client = await connect({ protocols: ['base64'] });

    await client.send(Buffer.from('!!!!'));
    const refused = unpack((await client.next('binary')).content as Buffer);
    await client.send(pack({ type: 'ask' }));

    expect(refused.type).to.equal('error');
    expect(unpack((await client.next('binary')).content as Buffer)).to.include({ type: 'ask', content: 1 });
  });

  it('is not used after it is unloaded: the next client gets JSON', async () => {
    const { manager, connect } = await startKernel({ use: [codecs], protocols: ['chat'] });

    await manager.unload('codecs');

    expect((await connect({ protocols: ['base64', 'chat'] })).ws.protocol).to.equal('chat');
  });
});

describe('compression', () => {
  it('is off by default, and again after its plugin is unloaded', async () => {
    const { manager, connect } = await startKernel();
    const before = await connect({ perMessageDeflate: true });
    manager.use(compression());
    await manager.ready();
    const during = await connect({ perMessageDeflate: true });
    await manager.unload('compression');
    const after = await connect({ perMessageDeflate: true });

    expect([before, during, after].map(({ ws }) => ws.extensions.includes('permessage-deflate'))).to.deep.equal([false, true, false]);
  });

  it('sends each client a form of the message that it can read', async () => {
    const { manager, connect } = await startKernel({ use: [compression()] });
    const [deflating, plain] = [await connect({ perMessageDeflate: true }), await connect({ perMessageDeflate: false })];
    await eventually('both', () => manager.connections.size === 2);
    const content = 'hello '.repeat(2_000);

    for (let each = 0; each < 3; each++) manager.broadcast({ type: 'long', content });
    manager.broadcast({ type: 'short', content: 'x' });

    for (const client of [deflating, plain]) {
      for (let each = 0; each < 3; each++) expect((await client.next('long')).content).to.equal(content);
      expect((await client.next('short')).content).to.equal('x');
    }
    const read = ({ ws }: typeof plain) => (ws as unknown as { _socket: { bytesRead: number } })._socket.bytesRead;
    expect(read(deflating)).to.be.below(read(plain) / 4);
  });

  it('reads compressed messages of clients', async () => {
    const { manager, connect } = await startKernel({ use: [compression(1)] });
    manager.registerHandler('ask', (message) => (message.content as string).length);
    const client = await connect({ perMessageDeflate: { threshold: 1 } });

    expect((await client.request({ type: 'ask', content: 'y'.repeat(50_000) })).content).to.equal(50_000);
  });
});

describe('a message that is too large', () => {
  it('closes the connection with 1009', async () => {
    const { manager, connect, failures } = await startKernel({ maxPayload: 1_000 });
    const client = await connect();

    void client.send({ type: 'x', content: 'y'.repeat(1_000) });

    expect((await client.closed).code).to.equal(1009);
    await eventually('nobody left', () => manager.connections.size === 0);
    expect(failures, 'it is the peer\'s fault, not ours').to.deep.equal([]);
  });
});

describe('a listener that a connection layer adds to the socket', () => {
  it('is called; when it throws, the error is reported and the client is served', async () => {
    const heard: string[] = [];
    const { manager, connect, failures } = await startKernel({ use: [{ type: 'connection', name: 'look', handler: (ws) => {
      (ws as unknown as NodeJS.EventEmitter).on('message', (data: Buffer) => {
        heard.push(data.toString());
        throw Object.assign(new TypeError('listener'), { code: 'ERR_INVALID_ARG_TYPE' });
      });
    } }] });
    manager.registerHandler('ask', () => 1);
    const client = await connect();

    const reply = await client.request({ type: 'ask', id: '1' });

    expect(reply.content).to.equal(1);
    expect(heard).to.deep.equal(['{"type":"ask","id":"1"}']);
    expect(failures.map(({ error }) => error.message)).to.deep.equal(['listener']);
    expect(only(manager).isOpen).to.be.true;
  });
});
