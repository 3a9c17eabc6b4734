import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { WebSocketModule } from '../../../src/index.ts';
import { cleanup } from '../../support/cleanup.ts';
import { connect } from '../../support/client.ts';
import { CLOSE, closePayload, CONTINUATION, frame, TEXT } from '../../support/frames.ts';
import { rawWebSocket } from '../../support/raw.ts';
import { close } from '../../support/start.ts';
import { next, only, startKernel } from '../start-kernel.ts';

const LONG = { interval: 60_000, timeout: 60_000 };

describe('after both close frames', () => {
  it('the server closes the TCP connection without waiting for the client', async () => {
    const { manager, port } = await startKernel({ heartbeat: LONG });
    const client = await rawWebSocket({ port }, { answerClose: false });
    const removed = next(manager, 'connection:removed');
    // It would never end its side.
    client.socket.removeAllListeners('end');

    await client.write(frame(CLOSE, closePayload(4500, 'bye')));

    expect((await removed)[1]).to.deep.equal({ code: 4500, reason: 'bye' });
  });

  it('the server does the same if it closed first', async () => {
    const { manager, port } = await startKernel({ heartbeat: LONG });
    const client = await rawWebSocket({ port }, { answerClose: false });
    const removed = next(manager, 'connection:removed');
    only(manager).close(4010, 'kicked');
    await client.until('its close frame', () => client.frames.some(({ opcode }) => opcode === CLOSE));
    client.socket.removeAllListeners('end');

    await client.write(frame(CLOSE, closePayload(4010)));

    expect((await removed)[1]).to.deep.equal({ code: 4010, reason: 'kicked' });
  });

  it('everything that was sent before has arrived', async () => {
    const { manager, connect } = await startKernel({ outbox: { limit: 64_000_000 } });
    manager.registerHandler('pour', (_message, connection) => {
      for (let each = 0; each < 200; each++) connection.send({ type: 'drop', content: 'x'.repeat(100_000) });
    });
    const client = await connect();
    void client.send({ type: 'pour' });
    await client.next('drop');

    const closed = await client.close(4500, 'enough');

    expect(closed).to.deep.equal({ code: 4500, reason: 'enough' });
    expect(client.messages).to.have.lengthOf(200);
  });

  it('the same holds over TLS, for both sides', async () => {
    // A key that both sides know: no certificate that could run out.
    const psk = { psk: Buffer.from('a key for this test'), identity: 'test' };
    const tls = { ciphers: 'PSK', maxVersion: 'TLSv1.2' } as const;
    const server = createServer({ ...tls, pskCallback: () => psk.psk });
    const manager = WebSocketModule.create({ server, heartbeat: LONG });
    cleanup(() => close(server));
    cleanup(() => manager.stop());
    manager.registerHandler('leave', (_message, connection) => {
      connection.send({ type: 'last', content: 'x'.repeat(1_000_000) });
      connection.close(4200, 'retry=1000');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const options = { ...tls, pskCallback: () => psk, rejectUnauthorized: false };
    const open = () => connect(`wss://127.0.0.1:${(server.address() as AddressInfo).port}/ws`, options);
    const [goes, isSent] = [await open(), await open()];

    void isSent.send({ type: 'leave' });
    const closes = await Promise.all([goes.close(4500, 'bye'), isSent.closed]);

    expect(closes).to.deep.equal([{ code: 4500, reason: 'bye' }, { code: 4200, reason: 'retry=1000' }]);
    expect(isSent.messages.map(({ type }) => type)).to.deep.equal(['last']);
  });
});

describe('connection:removed, after a violation of the protocol', () => {
  const fragments = Array.from({ length: 1_100 }, () => frame(CONTINUATION, '', { fin: false }));
  const violations = [
    ['a message above maxPayload', 1009, 'Max payload size exceeded', frame(TEXT, 'x'.repeat(2_000))],
    ['text that is not UTF-8', 1007, 'invalid UTF-8', frame(TEXT, Buffer.of(0xff))],
    ['an unmasked frame', 1002, 'MASK must be set', frame(TEXT, 'x', { mask: false })],
    ['too many fragments', 1008, 'Too many message fragments', Buffer.concat([frame(TEXT, '', { fin: false }), ...fragments])],
  ] as const;
  for (const [what, code, text, bytes] of violations) {
    it(`has the code and the reason of ${what}`, async () => {
      const { manager, port } = await startKernel({ heartbeat: LONG, maxPayload: 1_000 });
      const client = await rawWebSocket({ port });
      const removed = next(manager, 'connection:removed');

      await client.write(bytes);

      const [, ending] = await removed;
      expect(ending.code).to.equal(code);
      expect(ending.reason).to.match(/^WS_ERR_\w+: /).and.include(text);
    });
  }

  it('has the code of the server if the server closed the connection first', async () => {
    const { manager, port } = await startKernel({ heartbeat: LONG });
    const client = await rawWebSocket({ port }, { answerClose: false });
    const removed = next(manager, 'connection:removed');
    only(manager).close(4010, 'kicked');
    await client.until('its close frame', () => client.frames.some(({ opcode }) => opcode === CLOSE));

    await client.write(frame(TEXT, 'x', { mask: false }));
    client.socket.destroy();

    expect((await removed)[1]).to.deep.equal({ code: 4010, reason: 'kicked' });
  });
});
