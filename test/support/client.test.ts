import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { WebSocketServer } from 'ws';
import { cleanup } from './cleanup.ts';
import { connect } from './client.ts';

/** A bare `ws` server that says `hello`, answers `echo`, and refuses `/refused`. */
async function bare(): Promise<string> {
  const sockets = new WebSocketServer({ noServer: true });
  const server = createServer().on('upgrade', (request, socket, head) => {
    if (request.url === '/refused') return socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno');
    sockets.handleUpgrade(request, socket, head, (ws) => {
      ws.send('{"type":"hello"}');
      ws.on('message', (data, binary) => {
        const message = binary ? { type: 'binary' } : JSON.parse((data as Buffer).toString()) as { type: string; id?: string };
        if (message.type === 'echo') ws.send(JSON.stringify({ type: 'echo', replyTo: message.id }));
        if (message.type === 'binary') ws.send(data);
        if (message.type === 'quit') ws.close(4000, 'as you wish');
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup(() => server.close());
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const failureOf = (promise: Promise<unknown>) => promise.then(() => undefined, (error: unknown) => error as Error);

describe('the test client', () => {
  it('returns the next message of a type, and keeps the others', async () => {
    const client = await connect(await bare());

    void client.send({ type: 'echo' });

    expect(await client.next('echo')).to.deep.equal({ type: 'echo' });
    expect(await client.next()).to.deep.equal({ type: 'hello' });
    expect(client.messages).to.have.length(2);
  });

  it('finds the reply to its request', async () => {
    const client = await connect(await bare());

    const [first, second] = await Promise.all([client.request({ type: 'echo', id: 'a' }), client.request({ type: 'echo', id: 'b' })]);

    expect([first.replyTo, second.replyTo]).to.deep.equal(['a', 'b']);
  });

  it('names the messages that arrived instead', async () => {
    const client = await connect(await bare());

    const failure = await failureOf(client.next('nothing', 50));

    expect(failure?.message).to.match(/waited 50 ms for nothing; received instead: .*hello/s);
  });

  it('names the close code and reason', async () => {
    const client = await connect(await bare());

    const [failure] = await Promise.all([failureOf(client.next('nothing')), client.send({ type: 'quit' })]);

    expect(failure?.message).to.contain('the connection was closed with 4000 as you wish');
    expect(await client.closed).to.deep.equal({ code: 4000, reason: 'as you wish' });
    expect(await failureOf(client.next('nothing'))).to.be.an('error');
  });

  it('gives binary frames as buffers', async () => {
    const client = await connect(await bare());

    await client.send(Buffer.from([1, 2, 3]));

    expect((await client.next('binary')).content).to.deep.equal(Buffer.from([1, 2, 3]));
  });

  it('names the status and error of a refused upgrade', async () => {
    const url = await bare();

    const failure = await failureOf(connect(`${url}/refused`));

    expect(failure).to.include({ status: 401, body: 'no' });
  });
});
