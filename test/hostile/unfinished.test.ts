import { expect } from 'chai';
import { startKernel, next, only } from '../src/start-kernel.ts';
import { BINARY, CONTINUATION, frame, PING, TEXT } from '../support/frames.ts';
import { holdTime } from '../support/held-time.ts';
import { rawWebSocket } from '../support/raw.ts';
import { eventually } from '../support/timing.ts';

const part = (size: number, opcode = TEXT) => frame(opcode, 'x'.repeat(size), { fin: false });
/** The header of a frame, and what comes of its payload. */
const cut = (size: number, there: number) => { const whole = frame(TEXT, 'x'.repeat(size)); return whole.subarray(0, whole.length - size + there); };

describe('HOSTILE 39: a message that never ends', () => {
  for (const [name, bytes] of [
    ['a fragment without a last one', part(1_000)],
    ['an empty fragment', part(0)],
    ['a fragment, and an answered ping after it', Buffer.concat([part(10, BINARY), frame(PING, 'there')])],
    ['a frame whose payload does not come', cut(60_000, 30_000)],
    ['a frame of which only the header comes', cut(60_000, 0)],
    ['one byte of a header', Buffer.of(0x81)],
    ['a ping that does not end', frame(PING, 'x'.repeat(100)).subarray(0, 50)],
  ] as const) {
    it(`HOSTILE 39: closes an admitted connection with 4109 for ${name}`, async () => {
      const { manager, port } = await startKernel({ message: { receiveTimeout: 100 } });
      const removed = next(manager, 'connection:removed');
      const client = await rawWebSocket({ port });

      await client.write(bytes);
      const [, { code, reason }] = await removed;

      expect([code, reason]).to.deep.equal([4109, 'a message did not end in time']);
      expect(manager.inspect().waitingBytes).to.equal(0);
    });
  }

  it('keeps a connection whose messages end, however many fragments they have', async () => {
    const time = holdTime();
    const { manager, port } = await startKernel({ message: { receiveTimeout: 400 } });
    let handled = 0;
    manager.registerHandler('said', () => { handled++; });
    const client = await rawWebSocket({ port });
    const text = Buffer.from('{"type":"said"}');

    // Whenever it is looked at, a message has begun.
    await client.write(frame(TEXT, text.subarray(0, 5), { fin: false }));
    for (let each = 1; each <= 20; each++) {
      await time.tickAsync(100);
      await client.write(Buffer.concat([frame(CONTINUATION, text.subarray(5)), frame(TEXT, text.subarray(0, 5), { fin: false })]));
      await eventually('it is handled', () => handled === each || handled);
    }
    expect(only(manager).isOpen).to.equal(true);
  });

  it('counts incomplete messages in maxWaitingBytes, and closes the connection with the most bytes', async () => {
    const { manager, port } = await startKernel({ message: { maxWaitingBytes: 100_000 } });
    const ended: number[] = [];
    manager.on('connection:removed', (_, { code }) => { ended.push(code); });
    const [small, large] = [await rawWebSocket({ port }), await rawWebSocket({ port })];

    await small.write(part(20_000));
    await eventually('it is counted', () => manager.inspect().waitingBytes! > 20_000);
    await large.write(part(90_000));
    await eventually('one is closed', () => ended.length > 0);

    expect(ended).to.deep.equal([4129]);
    expect(manager.inspect().waitingBytes).to.be.within(20_000, 25_000);
    small.reset();
    await eventually('nothing is held', () => manager.inspect().waitingBytes === 0);
  });

  it('counts every fragment of a message, so that single bytes are bounded, too', async () => {
    const { manager, port } = await startKernel();
    const client = await rawWebSocket({ port });

    await client.write(Buffer.concat(Array.from({ length: 500 }, (_, n) => part(1, n === 0 ? TEXT : CONTINUATION))));

    await eventually('they are counted', () => manager.inspect().waitingBytes! > 500 * 200);
  });
});
