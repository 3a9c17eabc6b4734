import { expect } from 'chai';
import type { ModuleError } from '../../index.ts';
import type { EventsOptions, Socket } from '../../plugins/events.ts';
import type { UpgradeRefused } from '../support/client.ts';
import type { StartOptions } from '../support/start.ts';
import { acknowledge, errorsOf, join, serve } from '../support/events.ts';
import { eventually } from '../support/timing.ts';

const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(() => 'none', (error: unknown) => (error as ModuleError).code);
/** More than a function call takes. */
const many = Array.from({ length: 400_000 }, () => 0);
const large: StartOptions = { maxPayload: 4_194_304, maxValues: 1_000_000 };

/** The code with which a list of rooms is refused. */
function refusal(socket: Socket, rooms: string | string[]): unknown {
  try {
    void socket.join(rooms);
    return undefined;
  } catch (error) {
    const { code, details } = error as ModuleError;
    return [code, details['of'], details['limit']];
  }
}

describe('bounds of events', () => {
  describe('on the parameters of an address', () => {
    const parameters = (count: number) => `?${Array.from({ length: count }, (_, n) => n.toString(36)).join('&')}`;

    it('refuse more than a hundred with 400, because they are kept for each client', async () => {
      const { connect } = await serve();

      const refused = await connect({ search: parameters(101) }).then(() => undefined, (error: unknown) => error as UpgradeRefused);

      expect(refused?.status).to.equal(400);
      expect(JSON.parse(refused!.body)).to.include({ code: 'HANDSHAKE_INVALID' });
    });

    it('give the socket a hundred', async () => {
      const served = await serve();
      const handshake = new Promise<Socket['handshake']>((resolve) => served.io.on('connection', (socket) => { resolve(socket.handshake); }));

      await served.connect({ search: parameters(100) });

      expect(Object.keys((await handshake).query)).to.have.length(100);
    });
  });

  describe('on arguments', () => {
    it('an acknowledgement with too many reaches the callback as an error, and loses none', async () => {
      const served = await serve({}, large);
      const { client, socket } = await join(served);
      const told = new Promise<ModuleError>((resolve) => socket.on('error', resolve));
      const forged = { content: many, meta: { args: many.length } };

      const timed = new Promise((resolve) => {
        socket.timeout(5_000).emit('question', (error: ModuleError) => resolve(error.code));
      });
      await acknowledge(client, 'question', forged);
      const awaited = codeOf(socket.emitWithAck('question'));
      await acknowledge(client, 'question', forged);
      socket.emit('question', () => undefined);
      await acknowledge(client, 'question', forged);
      const asked = codeOf(served.io.timeout(5_000).emitWithAck('question'));
      await acknowledge(client, 'question', forged);

      expect([await timed, await awaited]).to.deep.equal(['PEER_ERROR', 'PEER_ERROR']);
      expect(await asked).to.equal('ACKNOWLEDGEMENTS_MISSING');
      expect((await told).code).to.equal('PEER_ERROR');
    });

    it('an event with too many is refused, and one with a thousand is heard', async () => {
      const served = await serve({}, large);
      const errors = errorsOf(served);
      const { client, socket } = await join(served);
      socket.use((_packet, next) => next());
      socket.onAny(() => undefined);
      socket.on('x', (...args: unknown[]) => (args.pop() as (count: number) => void)(args.length));
      const ask = async (count: number) => {
        const fields = { content: many.slice(0, count), meta: { args: count } };
        return (await client.request({ type: 'x', ack: true, ...fields })).content;
      };

      expect(await ask(1_000)).to.equal(1_000);
      expect(await ask(1_001)).to.include({ code: 'INVALID_MESSAGE' });
      expect(await ask(many.length)).to.include({ code: 'INVALID_MESSAGE' });
      expect(errors).to.deep.equal([]);
    });

    it('a list of any length as one argument is one argument', async () => {
      const served = await serve({}, large);
      const { client, socket } = await join(served);
      socket.on('x', (list, ack) => ack(list.length));

      expect((await client.request({ type: 'x', ack: true, content: many })).content).to.equal(many.length);
    });
  });

  describe('on rooms', () => {
    const options: EventsOptions = { maxRooms: 4, maxRoomsPerClient: 6, maxRoomsInAll: 9 };

    it('apply to a socket, to all sockets of a client, and to all clients; a list is joined as a whole or not at all', async () => {
      // Through a proxy, so that clients have addresses of their own.
      const served = await serve(options, { trustProxy: ['127.0.0.1'] });
      const connect = (ip: string) => join(served, { headers: { 'x-forwarded-for': ip } });
      const [a1, a2, b] = [await connect('10.0.0.1'), await connect('10.0.0.1'), await connect('10.0.0.2')];

      expect(refusal(a1.socket, ['1', '2', '3', '4', '5'])).to.deep.equal(['TOO_MANY_ROOMS', 'connection', 4]);
      expect(refusal(a1.socket, ['1', '2', '3', '4'])).to.equal(undefined);
      expect(refusal(a2.socket, ['1', '2', '3'])).to.deep.equal(['TOO_MANY_ROOMS', 'client', 6]);
      expect(refusal(a2.socket, ['1', '2'])).to.equal(undefined);
      expect(refusal(b.socket, ['1', '2', '3', '4'])).to.deep.equal(['TOO_MANY_ROOMS', 'server', 9]);
      expect(refusal(b.socket, ['1', '2', '3'])).to.equal(undefined);
      expect([a1, a2, b].map(({ socket }) => socket.rooms.size)).to.deep.equal([5, 3, 4]);
    });

    it('count for all namespaces of a client, and are free again when rooms or namespaces are left', async () => {
      const served = await serve(options);
      const { client, socket } = await join(served);
      const chat = new Promise<Socket>((resolve) => served.io.of('/chat').on('connection', resolve));
      await client.request({ type: 'connect', namespace: '/chat' });
      const member = await chat;
      void socket.join(['1', '2', '3', '4']);

      expect(refusal(member, ['1', '2', '3'])).to.deep.equal(['TOO_MANY_ROOMS', 'client', 6]);
      socket.leave('1');
      expect(refusal(member, ['1', '2', '3'])).to.equal(undefined);
      member.disconnect();
      const { client: second, socket: other } = await join(served);
      expect(refusal(other, ['1', '2', '3'])).to.equal(undefined);
      await second.terminate();
      await eventually('it to leave', () => other.disconnected);
      expect(refusal((await join(served)).socket, ['1', '2', '3'])).to.equal(undefined);
    });

    it('do not count a room twice, the room of the socket\'s own id, or rooms of a refused socket', async () => {
      const served = await serve({ ...options, connect: 'explicit' });
      let isRefused = true;
      served.io.use((socket, next) => {
        void socket.join(['1', '2', '3', '4']);
        next(isRefused ? new Error('no') : undefined);
      });
      const client = await served.connect();
      for (let count = 0; count < 5; count++) await client.request({ type: 'connect' });
      isRefused = false;

      await client.request({ type: 'connect' });
      const [socket] = served.io.sockets.sockets.values() as Iterable<Socket>;

      expect(refusal(socket!, ['1', '2', '3', '4'])).to.equal(undefined);
      socket!.leave(socket!.id);
      expect(refusal(socket!, socket!.id)).to.equal(undefined);
      expect(refusal(socket!, '5')).to.deep.equal(['TOO_MANY_ROOMS', 'connection', 4]);
    });
  });

  describe('on acknowledgements that listeners owe', () => {
    it('hold for all sockets of a client: beyond them, the socket\'s oldest is given without content', async () => {
      const served = await serve();
      served.io.on('connection', (socket) => socket.on('x', () => undefined));
      const clients = await Promise.all(Array.from({ length: 17 }, () => served.connect()));
      for (let count = 0; count < 64; count++) {
        await Promise.all(clients.map((client) => client.send({ type: 'x', ack: true, id: `${count}` })));
      }
      await Promise.all(clients.map((client) => client.request({ type: 'ping' })));

      const given = clients.flatMap(({ messages }) => messages.filter(({ type }) => type === 'ack'));

      // 1,024 of one address are owed; the other 64 were given at once.
      expect(given).to.have.length(17 * 64 - 1_024);
      expect(given.every(({ content }) => content === undefined)).to.be.true;
    });

    it('are not used up any more when the socket leaves', async () => {
      const served = await serve();
      served.io.on('connection', (socket) => socket.on('x', () => undefined));
      const clients = await Promise.all(Array.from({ length: 16 }, () => served.connect()));
      for (let count = 0; count < 64; count++) {
        await Promise.all(clients.map((client) => client.send({ type: 'x', ack: true })));
      }
      await Promise.all(clients.map((client) => client.request({ type: 'ping' })));
      await Promise.all(clients.map((client) => client.close()));
      await eventually('them to leave', () => served.manager.connections.size === 0);

      const client = await served.connect();
      await client.send({ type: 'x', ack: true });
      await client.request({ type: 'ping' });

      expect(client.messages.map(({ type }) => type)).to.deep.equal(['pong']);
    });
  });
});
