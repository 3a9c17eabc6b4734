import { constants, inflateRawSync } from 'node:zlib';
import { expect } from 'chai';
import { Deflater } from '../../../src/connection/deflater.ts';
import { Frame, type FrameHolder } from '../../../src/connection/frame.ts';
import { eventually } from '../../support/timing.ts';

const TEXT = 1;
const RSV1 = 0x40;

/** A frame of so many bytes that compress well, given to a deflater. */
function framed(deflater: Deflater, size: number, settings: object = {}): Frame {
  const frame = new Frame('x'.repeat(size), size, TEXT);
  deflater.compress(frame, settings);
  return frame;
}

function holder(): FrameHolder & { readonly saved: number[] } {
  const saved: number[] = [];
  return { saved, compressed: (bytes) => void saved.push(bytes) };
}

const isCompressed = (frame: Frame): boolean => (frame.bytes[0]! & RSV1) !== 0;

describe('a deflater', () => {
  it('compresses less than 64 KB at once, and more later', async () => {
    const deflater = new Deflater();
    const [small, large] = [framed(deflater, 65_535), framed(deflater, 65_536)];
    const owner = holder();

    const [atOnce, later] = [isCompressed(small), isCompressed(large)];
    large.pending!.hold(owner);
    await eventually('the large one', () => owner.saved.length > 0);

    expect([atOnce, later]).to.deep.equal([true, false]);
    expect(isCompressed(large)).to.equal(true);
    expect(large.pending).to.equal(undefined);
    expect(owner.saved).to.deep.equal([65_546 - large.length]);
    const payload = Buffer.concat([large.payload as Buffer, Buffer.of(0, 0, 0xff, 0xff)]);
    expect(inflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }).toString()).to.equal('x'.repeat(65_536));
  });

  it('compresses a frame once, and notifies all its holders', async () => {
    const frame = framed(new Deflater(), 100_000);
    const [a, b, gone] = [holder(), holder(), holder()];
    for (const one of [a, gone, b]) frame.pending!.hold(one);
    frame.pending!.release(gone);

    await eventually('both to be told', () => a.saved.length + b.saved.length >= 2);

    expect([a.saved.length, b.saved.length, gone.saved.length]).to.deep.equal([1, 1, 0]);
  });

  it('compresses no frame without holders, even if they released it before its turn', async () => {
    const deflater = new Deflater();
    const frames = Array.from({ length: 6 }, () => framed(deflater, 1_000_000));
    const owner = holder();
    // The last is held by nothing, and two of those that wait are released.
    for (const frame of frames.slice(0, 5)) frame.pending!.hold(owner);
    for (const frame of frames.slice(2, 4)) frame.pending!.release(owner);

    await eventually('three', () => owner.saved.length === 3);
    const another = framed(deflater, 100_000);
    another.pending!.hold(owner);
    await eventually('one more, behind all that waited', () => owner.saved.length === 4);

    expect(frames.map(isCompressed)).to.deep.equal([true, true, false, false, true, false]);
  });

  it('sends a frame uncompressed if compression makes it longer or zlib fails', async () => {
    const deflater = new Deflater();
    const noise = Frame.copyOf(crypto.getRandomValues(new Uint8Array(65_536)), 2);
    deflater.compress(noise, {});
    const refused = framed(deflater, 100_000, { level: 99 });
    const owner = holder();

    for (const frame of [noise, refused]) frame.pending!.hold(owner);
    await eventually('both', () => owner.saved.length === 2);

    expect(owner.saved).to.deep.equal([0, 0]);
    expect([noise, refused].map(isCompressed)).to.deep.equal([false, false]);
    const next = framed(deflater, 100_000);
    next.pending!.hold(owner);
    await eventually('the next, which compresses', () => isCompressed(next));
  });
});
