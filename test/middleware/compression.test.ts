import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { expect } from 'chai';
import { compression, type CompressionOptions } from '../../middleware/compression.ts';
import { BINARY, TEXT, frame, type Frame } from '../support/frames.ts';
import { MB } from '../support/memory.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { rawWebSocket, type Address, type Raw } from '../support/raw.ts';
import { start } from '../support/start.ts';

const OFFER = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' };
const RSV1 = 4;

const deflate = (payload: Buffer | string) => deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
const inflate = ({ payload }: Frame) =>
  inflateRawSync(Buffer.concat([payload, Buffer.of(0, 0, 0xff, 0xff)]), { finishFlush: constants.Z_SYNC_FLUSH }).toString();

const compressing = (address: Address) => rawWebSocket(address, { headers: OFFER });

async function next(client: Raw, count = 1): Promise<Frame> {
  await client.until(`frame ${count}`, () => client.frames.length >= count);
  return client.frames[count - 1]!;
}

describe('compression', () => {
  it('is a built-in, which the production options of the document load, too', async () => {
    const named = await start({ middleware: ['compression'] });
    const production = await start({ production: { enableCompression: true, maxPayload: 1_024, perMessageDeflate: true } });

    for (const { connect } of [named, production]) {
      const client = await connect();
      expect(client.ws.extensions).to.include('permessage-deflate');
    }
  });

  it('is negotiated with clients that offer it, without context takeover', async () => {
    const started = await start({ use: [compression()] });

    const [offering, plain] = [await compressing(started), await rawWebSocket(started)];

    expect(offering.response!.headers['sec-websocket-extensions']).to.match(/^permessage-deflate;.*server_no_context_takeover/);
    expect(offering.response!.headers['sec-websocket-extensions']).to.include('client_no_context_takeover');
    expect(plain.response!.headers).to.not.have.property('sec-websocket-extensions');
  });

  it('compresses from the threshold on, and not below it', async () => {
    const started = await start({ use: [compression({ threshold: 500 })] });
    const client = await compressing(started);
    const sized = (bytes: number) => ({ type: 'x', id: 'i', timestamp: 't', content: 'a'.repeat(bytes - JSON.stringify({ id: 'i', type: 'x', timestamp: 't', content: '' }).length) });

    started.manager.broadcast(sized(499));
    started.manager.broadcast(sized(500));

    const [small, large] = [await next(client, 1), await next(client, 2)];
    expect([small.rsv, small.payload.length]).to.deep.equal([0, 499]);
    expect(large.rsv).to.equal(RSV1);
    expect(large.payload.length).to.be.below(100);
    expect(inflate(large)).to.have.lengthOf(500);
  });

  it('has a threshold of 1,024 bytes by default', async () => {
    const started = await start({ use: [compression()] });
    const client = await compressing(started);

    started.manager.broadcast({ type: 'x', content: 'a'.repeat(900) });
    started.manager.broadcast({ type: 'x', content: 'a'.repeat(1_024) });

    expect([(await next(client, 1)).rsv, (await next(client, 2)).rsv]).to.deep.equal([0, RSV1]);
  });

  it('gives the same broadcast to clients with and without it', async () => {
    const started = await start({ use: [compression()] });
    const clients = [await started.connect(), await started.connect({ perMessageDeflate: false }), await started.connect()];
    const content = { text: 'héllo wörld 字 '.repeat(500), list: Array.from({ length: 100 }, (_, n) => n) };
    expect(clients.map(({ ws }) => ws.extensions.includes('permessage-deflate'))).to.deep.equal([true, false, true]);

    for (let round = 0; round < 3; round++) started.manager.broadcast({ type: 'news', content: { ...content, round } });

    for (const client of clients) {
      for (let round = 0; round < 3; round++) expect((await client.next('news')).content).to.deep.equal({ ...content, round });
    }
  });

  it('compresses a broadcast once, and each message for itself', async () => {
    const started = await start({ use: [compression()] });
    const clients = [await compressing(started), await compressing(started)];

    started.manager.broadcast({ type: 'x', id: 'same', timestamp: 'same', content: 'a'.repeat(5_000) });
    started.manager.broadcast({ type: 'x', id: 'same', timestamp: 'same', content: 'a'.repeat(5_000) });

    const frames = await Promise.all(clients.flatMap((client) => [next(client, 1), next(client, 2)]));
    for (const { payload } of frames) expect(payload).to.deep.equal(frames[0]!.payload);
  });

  it('accepts compressed messages of any client', async () => {
    const started = await start({ use: [compression()] });
    started.manager.registerHandler('echo', ({ content }) => ({ type: 'echo', content: content.length }));
    const [client, raw] = [await started.connect({ perMessageDeflate: { threshold: 0 } }), await compressing(started)];

    const reply = await client.request({ type: 'echo', content: 'a'.repeat(100_000) });
    await raw.write(frame(TEXT, deflate(JSON.stringify({ type: 'echo', content: 'b'.repeat(200_000) })), { rsv: RSV1 }));

    expect(reply.content).to.equal(100_000);
    expect(JSON.parse((await next(raw)).payload.toString())).to.include({ content: 200_000 });
  });

  it('compresses more with a higher level', async () => {
    const text = Array.from({ length: 5_000 }, (_, n) => `line ${n * 7919 % 5_000} of a text that repeats itself`).join('\n');
    const sizes: number[] = [];

    for (const level of [1, 9]) {
      const started = await start({ use: [compression({ level, memLevel: level })] });
      const client = await compressing(started);
      started.manager.broadcast({ type: 'x', content: text });
      sizes.push((await next(client)).payload.length);
    }

    expect(sizes[1]).to.be.below(sizes[0]! * 0.9);
  });

  it('is not offered after an unload, and serves the connections that were there before', async () => {
    const started = await start({ use: [compression()] });
    const before = await started.connect();

    await started.manager.unload('compression');

    const after = await started.connect();
    started.manager.broadcast({ type: 'news', content: 'x'.repeat(5_000) });
    started.manager.registerHandler('echo', ({ content }) => ({ type: 'echo', content: content.length }));
    const reply = await before.request({ type: 'echo', content: 'y'.repeat(5_000) });
    expect(before.ws.extensions).to.include('permessage-deflate');
    expect(after.ws.extensions).to.equal('');
    for (const client of [before, after]) expect((await client.next('news')).content).to.have.lengthOf(5_000);
    expect(reply.content).to.equal(5_000);
  });

  it('HOSTILE 32: closes a connection that sends a bomb with 1009, and no other', async () => {
    const started = await start({ use: [compression()] });
    const [bomber, other] = [await compressing(started), await started.connect()];
    const bomb = deflate(Buffer.alloc(50 * MB));
    expect(bomb.length).to.be.below(60_000);
    const before = process.memoryUsage.rss();

    await bomber.write(frame(BINARY, bomb, { rsv: RSV1 }));
    await bomber.end();

    expect(bomber.frames.at(-1)!.payload.readUInt16BE(0)).to.equal(1009);
    expect(process.memoryUsage.rss() - before).to.be.at.most(20 * MB);
    expect((await other.request({ type: 'ping' })).type).to.equal('pong');
  });

  it('HOSTILE 32: closes connections that send garbage as compressed data', async () => {
    const started = await start({ use: [compression()] });
    const client = await compressing(started);

    await client.write(frame(TEXT, Buffer.from('this is not deflate data at all'), { rsv: RSV1 }));
    await client.end();

    expect(client.frames.at(-1)!.payload.readUInt16BE(0)).to.equal(1007);
  });

  describe('of large messages', () => {
    /** Text that zlib takes its time for: a megabyte at level 9 takes more than the way of many small messages. */
    const slow = (bytes: number): string => Array.from({ length: bytes / 20 }, (_, n) => `${(n * 2_654_435_761) % 4_294_967_296} lines `.padEnd(20, '-')).join('').slice(0, bytes);
    const options = { outbox: { limit: 64 * MB } } as const;

    it('HOSTILE 41: runs outside the main thread: other clients are answered meanwhile', async () => {
      const started = await start({ ...options, use: [compression({ level: 9 })] });
      const [reader, other] = [await started.connect(), await started.connect()];
      const order: string[] = [];
      const large = reader.next('large', 20_000).then(() => order.push('large'));

      started.manager.sendToConnection([...started.manager.connections.keys()][0]!, { type: 'large', content: slow(4 * MB) });
      for (let n = 0; n < 3; n++) order.push((await other.request({ type: 'ping' })).type);
      await large;

      expect(order).to.deep.equal(['pong', 'pong', 'pong', 'large']);
    });

    it('keeps the order with earlier and later messages, also with those that a layer sends by ws.send()', async () => {
      const sockets: { send(text: string): void }[] = [];
      const started = await start({ ...options, use: [compression(), { type: 'connection', name: 'peers', handler: (ws) => { sockets.push(ws); } }] });
      const client = await started.connect();
      const content = slow(200_000);

      for (let n = 0; n < 3; n++) started.manager.broadcast({ type: 'large', content, n });
      started.manager.broadcast({ type: 'small', n: 3 });
      started.manager.broadcast({ type: 'large', content, n: 4 });
      await client.next('small', 20_000);
      sockets[0]!.send(JSON.stringify({ type: 'raw', content, n: 5 }));
      started.manager.broadcast({ type: 'small', n: 6 });
      started.manager.broadcast({ type: 'end', n: 7 });
      await client.next('end', 20_000);

      expect(client.messages.map(({ n }) => n as number)).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7]);
      expect(client.messages.filter(({ type }) => type === 'large' || type === 'raw').every((message) => message.content === content)).to.equal(true);
    });

    it('sends waiting messages uncompressed before a close frame', async () => {
      const started = await start({ ...options, use: [compression()] });
      const client = await compressing(started);

      for (let n = 0; n < 3; n++) started.manager.broadcast({ type: 'x', content: 'x'.repeat(100_000) });
      started.manager.connections.values().next().value!.close(4010, 'bye');
      await client.end();

      expect(client.frames.map(({ rsv, payload }) => [rsv, payload.length > 100_000])).to.deep.equal([[0, true], [0, true], [0, true], [0, false]]);
    });

    it('goes on for the other recipients when one leaves meanwhile', async () => {
      const started = await start({ ...options, use: [compression()] });
      const [stays, leaves] = [await compressing(started), await compressing(started)];

      started.manager.broadcast({ type: 'x', content: 'x'.repeat(1_000_000) });
      leaves.socket.destroy();

      const got = await next(stays);
      expect([got.rsv, got.payload.length < 10_000]).to.deep.equal([RSV1, true]);
      expect(JSON.parse(inflate(got)).content).to.have.lengthOf(1_000_000);
    });

    it('counts in the limit of the outbox with the uncompressed size until it is done', async () => {
      const started = await start({ outbox: { limit: 256 * 1_024, policy: 'drop-newest' }, use: [compression()] });
      const client = await started.connect();
      const dropped: string[] = [];
      started.manager.on('message:dropped', ({ code }) => void dropped.push(code));

      const counts = Array.from({ length: 5 }, (_, n) => started.manager.broadcast({ type: 'x', n, content: 'x'.repeat(100_000) }));
      await started.manager.drained();
      const isQueued = started.manager.broadcast({ type: 'end', content: 'x'.repeat(200_000) }) === 1;
      await client.next('end');

      expect(counts).to.deep.equal([1, 1, 0, 0, 0]);
      expect(dropped).to.deep.equal(Array(3).fill('OUTBOX_FULL'));
      expect(isQueued).to.equal(true);
      expect(started.manager.getMetrics().bytes.sent, 'counted as they were sent').to.be.below(10_000);
    });
  });

  describe('with wrong options', () => {
    const wrong: readonly (readonly [given: unknown, code: string, text: RegExp])[] = [
      [{ threshold: '1kb' }, 'OPTION_INVALID', /"compression\.threshold" must be an integer from 0/],
      [{ threshold: -1 }, 'OPTION_INVALID', /compression\.threshold/],
      [{ level: 0 }, 'OPTION_INVALID', /compression\.level/],
      [{ memLevel: 10 }, 'OPTION_INVALID', /compression\.memLevel/],
      [{ treshold: 1 }, 'OPTION_UNKNOWN', /did you mean "compression\.threshold"/],
    ];
    for (const [given, code, text] of wrong) {
      it(`refuses ${JSON.stringify(given)} when it is made`, () => {
        expect(() => compression(given as CompressionOptions)).to.throw(text).with.property('code', code);
      });
    }
  });

  it('is a property of itself, for those who destructure what they require', () => {
    expect(compression.compression).to.equal(compression);
  });
});

pluginSuite('compression', () => compression({ threshold: 10 }), {
  exercise: async ({ manager, connect }) => {
    const client = await connect();
    manager.broadcast({ type: 'news', content: 'x'.repeat(1_000) });
    await client.next('news');
    await client.close();
  },
});
