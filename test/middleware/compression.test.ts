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
  it('is a built-in, and what the production options of the document mean', async () => {
    const named = await start({ middleware: ['compression'] });
    const production = await start({ production: { enableCompression: true, maxPayload: 1_024, perMessageDeflate: true } });

    for (const { connect } of [named, production]) {
      const client = await connect();
      expect(client.ws.extensions).to.include('permessage-deflate');
    }
  });

  it('is negotiated with those who offer it, without context takeover', async () => {
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

  it('takes 1,024 bytes for the threshold when nothing else is said', async () => {
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

  it('takes compressed messages, of any client', async () => {
    const started = await start({ use: [compression()] });
    started.manager.registerHandler('echo', ({ content }) => ({ type: 'echo', content: content.length }));
    const [client, raw] = [await started.connect({ perMessageDeflate: { threshold: 0 } }), await compressing(started)];

    const reply = await client.request({ type: 'echo', content: 'a'.repeat(100_000) });
    await raw.write(frame(TEXT, deflate(JSON.stringify({ type: 'echo', content: 'b'.repeat(200_000) })), { rsv: RSV1 }));

    expect(reply.content).to.equal(100_000);
    expect(JSON.parse((await next(raw)).payload.toString())).to.include({ content: 200_000 });
  });

  it('compresses harder where it is told to', async () => {
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

  it('is not offered to those who come after it is unloaded, and still serves those who came before', async () => {
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

  it('HOSTILE 32: cuts a bomb off with 1009 at maxPayload, and leaves the others alone', async () => {
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

  it('HOSTILE 32: closes who sends garbage for compressed data', async () => {
    const started = await start({ use: [compression()] });
    const client = await compressing(started);

    await client.write(frame(TEXT, Buffer.from('this is not deflate data at all'), { rsv: RSV1 }));
    await client.end();

    expect(client.frames.at(-1)!.payload.readUInt16BE(0)).to.equal(1007);
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

  it('carries itself, for those who destructure what they require', () => {
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
