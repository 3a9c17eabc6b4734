import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import sinon from 'sinon';
import { PollingSocket } from '../../client/polling-socket.ts';
import { close } from '../../testing/start.ts';
import { cleanup } from '../support/cleanup.ts';
import { frame, TEXT } from '../support/frames.ts';
import { eventually } from '../support/timing.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

const opened: Answer = (_, response) => response.end(JSON.stringify({ session: 'a', protocol: '', wait: 5_000, maxBody: 1_000 }));
const never: Answer = () => undefined;
const text = (data: string): Buffer => frame(TEXT, data, { mask: false });
const bytes = (position: number, data: Buffer): Answer => (_, response) => response.setHeader('Polling-Position', position).end(data);

/** A server that answers requests as a script says: the opening one, those that send, and each poll in turn. */
async function scripted({ open = opened, send = (_, response) => response.writeHead(204).end(), polls = [], interval = 20 }: {
  open?: Answer; send?: Answer; polls?: Answer[]; interval?: number;
}) {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const kind = request.method === 'GET' ? 'poll' : request.headers['polling-session'] === undefined ? 'open' : 'send';
    requests.push(kind);
    request.resume();
    if (kind === 'open') open(request, response);
    else if (kind === 'send') send(request, response);
    else (polls[requests.filter((each) => each === 'poll').length - 1] ?? never)(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup(() => close(server));
  const { port } = server.address() as AddressInfo;
  const socket = new PollingSocket(`ws://127.0.0.1:${port}/ws`, [], { interval, maxInterval: interval * 3, timeout: 2_000 });
  cleanup(() => socket.terminate());
  const heard: unknown[] = [];
  let failure = '';
  socket.onmessage = ({ data }: { data: unknown }) => void heard.push(data);
  socket.onerror = ({ message }: { message: string }) => { failure = message; };
  const ended = new Promise<number>((resolve) => { socket.onclose = ({ code }: { code: number }) => resolve(code); });
  return { socket, requests, heard, ended, failure: () => failure };
}

describe('the polling socket of the client', () => {
  const strangers: readonly (readonly [what: string, answer: Answer])[] = [
    ['a page', (_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html>')],
    ['other JSON', (_, response) => response.end('{"ok":true}')],
    ['null', (_, response) => response.end('null')],
    ['a status of a proxy', (_, response) => response.writeHead(401).end('{"error":"proxy"}')],
    ['a redirect', (_, response) => response.writeHead(302, { location: '/elsewhere' }).end()],
  ];
  for (const [what, answer] of strangers) {
    it(`is closed with 1006 if the answer to its first request is ${what}`, async () => {
      const { socket, ended, requests, failure } = await scripted({ open: answer });

      expect(await ended).to.equal(1006);
      expect(failure()).to.match(/^long polling failed: /);
      expect([requests, socket.readyState]).to.deep.equal([['open'], 2]);
    });
  }

  it('has the close code of a refusal of the server itself', async () => {
    const { ended, failure } = await scripted({ open: (_, response) => response.writeHead(403).end('{"code":"FORBIDDEN","message":"no"}') });

    expect(await ended).to.equal(4003);
    expect(failure()).to.equal('long polling was refused with 403 FORBIDDEN');
  });

  it('takes each byte once, however the answers overlap, and asks again for what is missing', async () => {
    const [one, two] = [text('one'), text('two')];
    const both = Buffer.concat([one, two]);
    const { heard } = await scripted({ polls: [
      bytes(0, both.subarray(0, 7)), bytes(0, both.subarray(0, 7)), bytes(9, both), (_, response) => response.end(both),
      bytes(3, both.subarray(3)), bytes(0, both),
    ] });

    await eventually('both', () => heard.length === 2);

    expect(heard).to.deep.equal(['one', 'two']);
  });

  it('pauses after answers that bring nothing and come too early', async () => {
    const { requests, socket } = await scripted({ polls: Array.from({ length: 1_000 }, () => bytes(0, Buffer.alloc(0))) });
    const since = performance.now();

    await eventually('ten polls', () => requests.length > 10);

    socket.terminate();
    expect(performance.now() - since).to.be.above(9 * 40);
  });

  it('ends with a status that cannot change, of polls and of requests that send', async () => {
    const polled = await scripted({ polls: [(_, response) => response.writeHead(404).end()] });
    const sent = await scripted({ send: (_, response) => response.writeHead(413).end() });
    await eventually('it is open', () => sent.socket.readyState === 1);

    sent.socket.send('long');

    expect(await polled.ended).to.equal(1006);
    expect(await sent.ended).to.equal(1006);
  });

  it('repeats what failed, with the same bytes, and sends the rest after it', async () => {
    const bodies: Buffer[] = [];
    let failures = 3;
    const { socket } = await scripted({ send: async (request, response) => {
      const pieces = await request.toArray() as Buffer[];
      if (failures-- > 0) return void response.writeHead(502).end('<html>');
      expect(Number(request.headers['polling-position'])).to.equal(Buffer.concat(bodies).length);
      bodies.push(Buffer.concat(pieces));
      response.writeHead(204).end();
    } });
    await eventually('it is open', () => socket.readyState === 1);

    for (const data of ['a', 'b']) socket.send(data);
    await eventually('everything sent', () => socket.bufferedAmount === 0);

    expect(Buffer.concat(bodies)).to.deep.equal(Buffer.concat([text('a'), text('b')]));
  });

  it('fails a request whose answer begins and does not end, and tries again', async () => {
    const { heard } = await scripted({ polls: [
      (_, response) => { response.writeHead(200, { 'Polling-Position': 0 }).write('x'); }, bytes(0, text('one')),
    ] });

    await eventually('the message', () => heard.length === 1, 6_000);

    expect(heard).to.deep.equal(['one']);
  });

  it('hands out the frames after one whose listener throws', async () => {
    const { socket } = await scripted({ polls: [bytes(0, Buffer.concat([text('one'), text('two')]))] });
    const heard: unknown[] = [];
    const [before] = [process.listeners('uncaughtException')];
    process.removeAllListeners('uncaughtException');
    cleanup(() => before.forEach((listener) => process.on('uncaughtException', listener)));
    const thrown = once(process, 'uncaughtException');

    socket.onmessage = ({ data }: { data: unknown }) => {
      heard.push(data);
      if (data === 'one') throw new Error('of a listener');
    };
    const [error] = await thrown as [Error];
    await eventually('both', () => heard.length === 2);

    expect(error.message).to.equal('of a listener');
  });

  it('leaves no timer and no request when it is closed, even while it pauses', async () => {
    const busy: Answer = (_, response) => response.writeHead(503).end();
    const { socket, ended, requests } = await scripted({ polls: [busy], interval: 60_000 });
    const timer = sinon.spy(globalThis, 'setTimeout');
    cleanup(() => timer.restore());
    await eventually('the pause', () => timer.args.some(([, milliseconds]) => milliseconds === 60_000));
    const pause = timer.returnValues[timer.args.findIndex(([, milliseconds]) => milliseconds === 60_000)]!;

    socket.close(1000);
    await ended;

    expect((pause as unknown as { _destroyed: boolean })._destroyed).to.equal(true);
    expect(requests).to.deep.equal(['open', 'poll', 'send']);
  });
});
