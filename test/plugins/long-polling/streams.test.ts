import { expect } from 'chai';
import { longPolling } from '../../../plugins/long-polling.ts';
import { type Frame, frameReader } from '../../support/frames.ts';
import { start } from '../../support/start.ts';
import { eventually } from '../../support/timing.ts';

/** A session, and its streams of server-sent events. */
async function serve(options = {}) {
  // The sessions are never closed: a test need not wait for them.
  const { manager, url } = await start({ use: [longPolling(options)], drainTimeout: 50 });
  const http = url.replace('ws:', 'http:');
  const opened = await fetch(http, { method: 'POST', headers: { 'Content-Type': 'application/octet-stream' } });
  const { session } = await opened.json() as { session: string };
  const receive = (received: number, signal?: AbortSignal) => fetch(http, {
    headers: {
      'Accept': 'text/event-stream', 'Polling-Session': session, 'Polling-Received': String(received), 'Polling-Wait': '5000',
    },
    ...signal && { signal },
  });
  /** Reads a stream, and keeps its frames and the position after them. */
  const read = async (received: number, into: { frames: Frame[]; position: number }) => {
    const abort = new AbortController();
    const response = await receive(received, abort.signal);
    const done = (async () => {
      const take = frameReader();
      let text = '';
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        const events = text.split('\n\n');
        text = events.pop()!;
        for (const event of events) {
          const [, id, data] = /^id: (\d+)\ndata: (.*)$/.exec(event) ?? [];
          if (data === undefined) continue;
          const bytes = Buffer.from(data, 'base64');
          into.frames.push(...take(bytes));
          into.position = Number(id) + bytes.length;
        }
      }
    })().catch((error: unknown) => { if (!abort.signal.aborted) throw error; });
    return { type: response.headers.get('content-type'), stop: () => { abort.abort(); return done; }, done };
  };
  const ticks = ({ frames }: { frames: Frame[] }) => frames
    .map(({ payload }) => JSON.parse(payload.toString()) as { type: string; content: number })
    .filter(({ type }) => type === 'tick').map(({ content }) => content);
  return { manager, receive, read, ticks };
}

describe('a stream of server-sent events', () => {
  it('carries messages as they are sent, and the next stream continues after what was received', async () => {
    const { manager, read, ticks } = await serve();
    const first = { frames: [], position: 0 };
    const second = { frames: [], position: 0 };

    const stream = await read(0, first);
    for (const n of [1, 2, 3]) manager.broadcast({ type: 'tick', content: n });
    await eventually('three ticks', () => ticks(first).length === 3);
    await stream.stop();
    for (const n of [4, 5]) manager.broadcast({ type: 'tick', content: n });
    const next = await read(first.position, second);
    await eventually('two more', () => ticks(second).length === 2);
    await next.stop();

    expect(stream.type).to.equal('text/event-stream');
    expect([...ticks(first), ...ticks(second)]).to.deep.equal([1, 2, 3, 4, 5]);
  });

  it('sends again what the client has not confirmed', async () => {
    const { manager, read, ticks } = await serve();
    const [lost, again] = [{ frames: [], position: 0 }, { frames: [], position: 0 }];
    const stream = await read(0, lost);
    manager.broadcast({ type: 'tick', content: 1 });
    await eventually('the tick', () => ticks(lost).length === 1);
    await stream.stop();

    const next = await read(0, again);
    await eventually('the tick again', () => ticks(again).length === 1);
    await next.stop();

    expect(ticks(again)).to.deep.equal([1]);
  });

  it('ends when the next one begins, and is a poll if streaming is off', async () => {
    const { read } = await serve();
    const first = await read(0, { frames: [], position: 0 });
    const second = await read(0, { frames: [], position: 0 });
    await first.done;
    await second.stop();

    const { manager, receive } = await serve({ streaming: false });
    const poll = receive(0);
    manager.broadcast({ type: 'tick', content: 1 });

    expect((await poll).headers.get('content-type')).to.equal('application/octet-stream');
  });
});
