import { expect } from 'chai';
import type { Binary } from '../../../src/connection/frame.ts';
import type { Codec, Outgoing } from '../../../src/protocol.ts';
import { only, plugin, startKernel } from '../start-kernel.ts';

const BYTES = [1, 2, 3, 254];
const bytes = () => Uint8Array.from(BYTES);
/** A buffer that can shrink; TypeScript's library of this target does not know it. */
const resizable = (length: number): ArrayBuffer & { resize(length: number): void } =>
  new (ArrayBuffer as unknown as new (length: number, options: object) => ArrayBuffer & { resize(length: number): void })(length, { maxByteLength: length });

function shared(): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(BYTES.length);
  new Uint8Array(buffer).set(BYTES);
  return buffer;
}

const kinds: readonly (readonly [name: string, make: () => Binary])[] = [
  ['a Buffer', () => Buffer.from(BYTES)],
  ['a Uint8Array', bytes],
  ['an ArrayBuffer', () => bytes().buffer],
  ['a SharedArrayBuffer', shared],
  ['a DataView', () => new DataView(bytes().buffer)],
  ['a Uint16Array', () => new Uint16Array(bytes().buffer)],
  ['a view of a part', () => new Uint8Array(Uint8Array.from([9, ...BYTES, 9]).buffer, 1, BYTES.length)],
];

describe('bytes that are sent', () => {
  for (const [name, make] of kinds) {
    it(`arrive as a binary frame from ${name}, by send() and as a reply`, async () => {
      const { manager, connect } = await startKernel();
      manager.registerHandler('get', make);
      const client = await connect();

      const isQueued = only(manager).send(make());
      await client.send({ type: 'get' });

      expect(isQueued).to.equal(true);
      expect([...(await client.next('binary')).content as Buffer]).to.deep.equal(BYTES);
      expect([...(await client.next('binary')).content as Buffer]).to.deep.equal(BYTES);
    });
  }

  it('arrive unchanged even if their buffer is reused in the same turn', async () => {
    const { manager, connect } = await startKernel();
    const client = await connect();
    const buffer = Buffer.from('first ');

    only(manager).send(buffer);
    buffer.write('second');
    only(manager).send(buffer);
    buffer.fill(0);

    const got = [await client.next('binary'), await client.next('binary')].map(({ content }) => String(content));
    expect(got).to.deep.equal(['first ', 'second']);
  });

  for (const size of [100, 100_000]) {
    it(`arrive completely, all ${size} of them, even if their buffer shrinks in the same turn`, async () => {
      const { manager, connect } = await startKernel();
      const client = await connect();
      const buffer = resizable(size);
      new Uint8Array(buffer).fill(7);

      only(manager).send(new Uint8Array(buffer));
      buffer.resize(0);
      only(manager).send({ type: 'end', secret: 'x'.repeat(size) });

      const { content } = await client.next('binary');
      expect(Buffer.alloc(size, 7).equals(content as Buffer)).to.equal(true);
    });
  }

  it('arrive unchanged even if a codec returns the same buffer for each message', async () => {
    const memory = Buffer.alloc(64);
    const reusing: Codec = {
      name: 'reusing',
      binary: true,
      encode: ({ type }: Outgoing) => memory.subarray(0, memory.write(type)),
      decode: (frame) => JSON.parse(frame.toString()) as unknown,
    };
    const { manager, connect } = await startKernel({ use: [plugin('codecs', (context) => { context.transport({ codecs: [reusing] }); })] });
    const client = await connect({ protocols: ['reusing'] });

    for (const type of ['one', 'two']) manager.broadcast({ type });

    const got = [await client.next('binary'), await client.next('binary')].map(({ content }) => String(content));
    expect(got).to.deep.equal(['one', 'two']);
  });

  it('are refused when their buffer was transferred', async () => {
    const { manager, connect, failures } = await startKernel();
    await connect();
    const view = bytes();
    structuredClone(view.buffer, { transfer: [view.buffer] });

    const isQueued = only(manager).send(view);

    expect(isQueued).to.equal(false);
    expect(failures.map(({ error }) => error.code)).to.deep.equal(['UNSENDABLE_MESSAGE']);
  });

  it('are rejected by broadcasts, with the remedy', async () => {
    const { manager, failures } = await startKernel();

    const count = manager.broadcast(bytes() as never);

    expect(count).to.equal(0);
    expect(failures[0]!.error.message).to.include('connection.send(bytes)');
  });
});

describe('a Blob', () => {
  it('is rejected with the remedy, and reaches no client', async () => {
    const { manager, connect, failures } = await startKernel();
    manager.registerHandler('get', () => new Blob(['secret']));
    const client = await connect();

    const sent = [only(manager).send(new Blob(['x']) as never), manager.broadcast(new Response('x') as never)];
    const reply = await client.request({ type: 'get' });

    expect(sent).to.deep.equal([false, 0]);
    expect(reply.content).to.include({ code: 'INTERNAL_ERROR' });
    expect(failures.map(({ error }) => error.code)).to.deep.equal(Array(3).fill('UNSENDABLE_MESSAGE'));
    expect(failures[0]!.error.message).to.include('connection.send(await blob.arrayBuffer())');
    expect(client.messages).to.have.lengthOf(1);
  });
});

describe('a codec that returns neither a string nor bytes', () => {
  it('causes UNSENDABLE_MESSAGE, and nothing is sent', async () => {
    const broken = { name: 'broken', binary: false, encode: () => undefined, decode: () => ({ type: 'x' }) } as unknown as Codec;
    const { manager, connect, failures } = await startKernel({ use: [plugin('codecs', (context) => { context.transport({ codecs: [broken] }); })] });
    const client = await connect({ protocols: ['broken'] });

    expect(manager.broadcast({ type: 'x' })).to.equal(0);
    expect(only(manager).send(bytes())).to.equal(true);
    await client.next('binary');

    expect(failures.map(({ error }) => error.code)).to.deep.equal(['UNSENDABLE_MESSAGE']);
    expect(client.messages).to.have.lengthOf(1);
  });
});
