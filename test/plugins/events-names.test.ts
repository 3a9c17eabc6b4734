import { expect } from 'chai';
import { ModuleError, type WebSocketManager } from '../../index.ts';
import { events, type Socket } from '../../plugins/events.ts';
import { namespaces } from '../../plugins/namespaces.ts';
import type { Client } from '../support/client.ts';
import { errorsOf, join, serve, type Served } from '../support/events.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

/** A layer of the manager that refuses one type, and keeps what it saw. */
function guard(manager: WebSocketManager, type: string): string[] {
  const seen: string[] = [];
  manager.use({
    type: 'message',
    name: 'guard',
    handler(message, _, next) {
      seen.push(message.type);
      if (message.type === type) throw new ModuleError('GUARDED');
      return next();
    },
  });
  return seen;
}

/** Something to wait for, in the hands of the test. */
function hold() {
  let release!: () => void;
  const released = new Promise<void>((resolve) => (release = resolve));
  return { released, release };
}

const code = async (client: Client, message: { type: string }): Promise<unknown> =>
  (await client.request(message)).content?.code;
const nextReceived = ({ manager }: Pick<Served, 'manager'>) =>
  new Promise<void>((resolve) => manager.on('message:received', () => resolve()));

describe('the name of an event', () => {
  it('is the one to which the socket listens, in layers of the manager and of the socket', async () => {
    const served = await serve();
    const seen = guard(served.manager, 'nothing');
    const { client, socket } = await join(served);
    const packets: unknown[] = [];
    socket.use(([event], next) => {
      packets.push(event);
      next(event === 'delete user' ? new Error('not you') : undefined);
    });
    socket.on('delete user', () => packets.push('reached'));

    const answers = [];
    for (const type of ['delete user', 'delete-user', 'delete_user']) {
      answers.push(await client.request({ type, ack: true }));
    }

    expect(answers.map(({ content }) => content.code)).to.deep.equal(Array(3).fill('EVENT_REFUSED'));
    expect(packets).to.deep.equal(Array(3).fill('delete user'));
    expect(seen).to.deep.equal(Array(3).fill('delete user'));
  });

  it('is that of each socket\'s own listener', async () => {
    const served = await serve();
    const seen = guard(served.manager, 'nothing');
    const [kebab, snake] = [await join(served), await join(served)];
    kebab.socket.on('ban-user', (ack) => ack('kebab'));
    snake.socket.on('ban_user', (ack) => ack('snake'));

    const ask = ({ client }: { client: Client }) => client.request({ type: 'ban user', ack: true });
    const answers = await Promise.all([kebab, snake].map(ask));

    expect(answers.map(({ content }) => content)).to.deep.equal(['kebab', 'snake']);
    expect(seen).to.have.members(['ban-user', 'ban_user']);
  });

  it('is the client\'s where the socket does not listen to it, which only catch-all listeners hear', async () => {
    const served = await serve();
    const seen = guard(served.manager, 'nothing');
    const { client, socket } = await join(served);
    socket.onAny((event, ack) => ack(event));

    const answer = await client.request({ type: 'any_thing', ack: true });

    expect(answer.content).to.equal('any_thing');
    expect(seen).to.deep.equal(['any_thing']);
  });

  const early: readonly (readonly [when: string, prepare: (served: Served, until: Promise<void>) => void])[] = [
    ['layers are asked about its client', ({ io }, until) => {
      io.use((_socket, next) => void until.then(() => next()));
      io.on('connection', (socket) => socket.on('ban-user', () => undefined));
    }],
    ['listeners of connection add the listeners of its events', ({ io }, until) => {
      io.on('connection', async (socket) => {
        await until;
        socket.on('ban-user', () => undefined);
      });
    }],
  ];
  for (const [when, prepare] of early) {
    it(`is settled before the first layer of the manager for an event that comes while ${when}`, async () => {
      const served = await serve();
      const { released, release } = hold();
      const seen = guard(served.manager, 'ban-user');
      prepare(served, released);
      const client = await served.connect();
      const received = nextReceived(served);
      const asked = code(client, { type: 'ban_user' });
      await received;
      const seenEarly = [...seen];

      release();

      expect(await asked).to.equal('GUARDED');
      expect(seenEarly).to.deep.equal([]);
      expect(seen).to.deep.equal(['ban-user']);
    });
  }

  it('is settled before the first layer in a namespace, too, while its listeners of connection await', async () => {
    const served = await serve();
    const { released, release } = hold();
    const seen = guard(served.manager, 'ban-user');
    served.io.of('/chat').on('connection', async (socket) => {
      await released;
      socket.on('ban-user', () => undefined);
    });
    const client = await served.connect();
    await client.request({ type: 'connect', namespace: '/chat' });
    const asked = code(client, { type: 'ban_user', namespace: '/chat' } as { type: string });
    await eventually('the message to wait', () => served.manager.inspect()['inFlight'] === 1);

    release();

    expect(await asked).to.equal('GUARDED');
    expect(seen).to.deep.equal(['connect', 'ban-user']);
  });

  it('is settled for messages of a client that enters a namespace beside them', async () => {
    const served = await serve({}, { message: { concurrency: 8 } });
    const { released, release } = hold();
    const seen = guard(served.manager, 'ban-user');
    const chat = served.io.of('/chat');
    chat.use((_socket, next) => void released.then(() => next()));
    chat.on('connection', (socket) => socket.on('ban-user', () => undefined));
    const client = await served.connect();
    const entered = client.request({ type: 'connect', namespace: '/chat' });
    const asked = code(client, { type: 'ban_user', namespace: '/chat' } as { type: string });
    await eventually('both to be in flight', () => served.manager.inspect()['inFlight'] === 2);

    release();

    expect((await entered).type).to.equal('connected');
    expect(await asked).to.equal('GUARDED');
    expect(seen).to.deep.equal(['connect', 'ban-user']);
  });

  it('reaches no listener in a spelling that no layer saw, when the listener is added while a layer awaits', async () => {
    const served = await serve();
    const { released, release } = hold();
    let isAsked = false;
    served.manager.use({
      type: 'message',
      name: 'slow',
      async handler(_message, _connection, next) {
        isAsked = true;
        await released;
        return next();
      },
    });
    const { client, socket } = await join(served);
    const heard: unknown[] = [];
    const asked = code(client, { type: 'ban_user' });
    await eventually('the layer to be asked', () => isAsked);

    socket.on('ban-user', (acknowledge) => {
      heard.push('ban-user');
      acknowledge();
    });
    release();

    expect(await asked).to.equal('UNKNOWN_TYPE');
    expect(heard).to.deep.equal([]);
    expect(await code(client, { type: 'ban_user', ack: true } as { type: string })).to.equal(undefined);
    expect(heard).to.deep.equal(['ban-user']);
  });

  it('may be changed by a layer of the socket, to any spelling of another event', async () => {
    const served = await serve();
    const { client, socket } = await join(served);
    socket.use((packet, next) => {
      packet[0] = 'new_name';
      next();
    });
    socket.on('old-name', () => undefined);
    socket.on('new-name', (ack) => ack('renamed'));

    expect((await client.request({ type: 'old-name', ack: true })).content).to.equal('renamed');
  });
});

describe('a socket that listens to the type of a built-in', () => {
  const listening = (socket: Socket) => socket.on('ping', (ack: (answer: string) => void) => ack('mine'));

  it('gets the message, while other clients are answered by the built-in', async () => {
    const served = await serve();
    const [one, other] = [await join(served), await join(served)];
    const outside = await served.connect();
    listening(one.socket);

    const ask = (client: Client) => client.request({ type: 'ping', ack: true });
    const answers = await Promise.all([one.client, other.client, outside].map(ask));
    one.socket.removeAllListeners('ping');
    const after = await one.client.request({ type: 'ping' });

    const told = answers.map(({ type, content }) => (type === 'ack' ? content : type));
    expect(told).to.deep.equal(['mine', 'pong', 'pong']);
    expect(after.type).to.equal('pong');
  });

  it('gets the first message already, if other sockets have listened to the type before', async () => {
    const served = await serve();
    const { released, release } = hold();
    listening((await join(served)).socket);
    served.io.on('connection', async (socket) => {
      await released;
      listening(socket);
    });
    const client = await served.connect();
    const received = nextReceived(served);
    const asked = client.request({ type: 'ping', ack: true });
    await received;

    release();

    expect((await asked).content).to.equal('mine');
  });

  it('does not take it from a handler of the application', async () => {
    const served = await serve();
    served.manager.registerHandler('ping', () => 'the application');
    const { client, socket } = await join(served);
    listening(socket);

    expect((await client.request({ type: 'ping', ack: true })).content).to.equal('the application');
  });

  it('gets the message in any naming of the built-in', async () => {
    const { manager, connect } = await start({ naming: 'snake', plugins: ['rooms'], use: [namespaces(), events()] });
    const { client, socket } = await join({ io: manager.io, connect });
    socket.on('join room', (_, ack) => ack('mine'));

    expect((await client.request({ type: 'join_room', content: { roomId: 'x' }, ack: true })).content).to.equal('mine');
  });

  for (const type of ['typing', 'get-online-users', 'private-message', 'private-typing', 'message-read']) {
    it(`takes ${type} from presence or private-messages`, async () => {
      const plugins = ['rooms', 'presence', 'private-messages'];
      const { manager, connect } = await start({ plugins, use: [namespaces(), events()] });
      const { client, socket } = await join({ io: manager.io, connect });
      socket.on(type, (_, ack) => ack('mine'));

      expect((await client.request({ type, content: { roomId: 'x' }, ack: true })).content).to.equal('mine');
    });
  }

  it('leaves nothing behind when the plugin is unloaded', async () => {
    const served = await serve();
    const errors = errorsOf(served);
    const { client, socket } = await join(served);
    const before = served.manager.inspect();
    listening(socket);

    expect(served.manager.inspect()).to.deep.equal(before);
    await served.manager.unload('events');
    expect((await client.request({ type: 'ping' })).type).to.equal('pong');
    expect(errors).to.deep.equal([]);
  });
});
