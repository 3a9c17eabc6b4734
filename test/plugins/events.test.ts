import { expect } from 'chai';
import { stub } from 'sinon';
import { events, type EventsOptions, type Server, type Socket } from '../../plugins/events.ts';
import { namespaces } from '../../plugins/namespaces.ts';
import { WebSocketModule } from '../../index.ts';
import { cleanup } from '../support/cleanup.ts';
import type { Client, ConnectOptions } from '../support/client.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start, type StartOptions, type Started } from '../support/start.ts';

interface Served extends Started { readonly io: Server }

async function serve(options: EventsOptions = {}, more: StartOptions = {}): Promise<Served> {
  const started = await start({ ...more, use: [namespaces(), events(options)] });
  return { ...started, io: started.manager.io };
}

/** A client that is in, and its socket. */
async function join({ io, connect }: Served, options?: ConnectOptions & { search?: string }): Promise<{ client: Client; socket: Socket }> {
  const came = new Promise<Socket>((resolve) => io.once('connection', resolve));
  const client = await connect(options);
  return { client, socket: await came };
}

describe('events', () => {
  it('tells of a client that came, and greets it', async () => {
    const served = await serve();
    served.io.on('connection', (socket) => socket.emit('welcome', { id: socket.id }));

    const { client, socket } = await join(served);

    expect((await client.next('welcome')).content).to.deep.equal({ id: socket.id });
    expect(socket).to.include({ connected: true, disconnected: false });
    expect(served.io.sockets.sockets.get(socket.id)).to.equal(socket);
  });
});

pluginSuite('events', () => events(), { requires: () => [namespaces()], exercise: async ({ manager, connect }, client) => {
  const served = { manager, connect, io: manager.io } as Served;
  served.io.on('connection', (socket) => {
    socket.join('room');
    socket.on('echo', (text, ack) => ack(text));
  });
  const { client: other } = await join(served);
  expect((await other.request({ type: 'echo', content: 'hi', ack: true })).content).to.equal('hi');
  await client.request({ type: 'ping' });
  await other.close();
} });
void stub; void WebSocketModule; void cleanup;
