import { expect } from 'chai';
import { events } from '../../plugins/events.ts';
import { namespaces } from '../../plugins/namespaces.ts';
import { ModuleError } from '../../index.ts';
import { errorsOf, join, serve } from '../support/events.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

const thrownBy = (act: () => unknown): string => {
  try {
    act();
    return 'nothing';
  } catch (error) {
    return error instanceof ModuleError ? error.code : (error as Error).name;
  }
};

describe('events and bad input', () => {
  describe('from a client', () => {
    for (const type of ['disconnect', 'disconnecting', 'connect', 'connection', 'error', 'connected', 'disconnected', 'newListener', 'removeListener', 'connect_error']) {
      it(`an event named ${type} raises nothing that happens by itself`, async () => {
        const served = await serve();
        const { client, socket } = await join(served);
        const heard: string[] = [];
        for (const event of ['disconnect', 'disconnecting', 'error', 'newListener', 'removeListener', 'connected'] as const) socket.on(event, () => void heard.push(event));

        const answer = await client.request({ type, content: 'forged' });

        expect(heard).to.deep.equal(type === 'disconnect' ? ['disconnecting', 'disconnect'] : type === 'connection' ? [] : heard.slice(0, 0));
        if (!['connect', 'disconnect'].includes(type)) expect(answer.content.code).to.equal('UNKNOWN_TYPE');
      });
    }

    for (const type of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '\u0000', 'x'.repeat(64)]) {
      it(`an event named ${JSON.stringify(type.slice(0, 20))} is unknown, and has an ordinary listener where there is one`, async () => {
        const served = await serve();
        const { client, socket } = await join(served);

        const unknown = await client.request({ type, content: 1 });
        socket.on(type, (content, ack) => ack(content));
        const known = await client.request({ type, content: 1, ack: true });

        expect(unknown.content.code).to.equal('UNKNOWN_TYPE');
        expect(known.content).to.equal(1);
      });
    }

    it('arguments that do not match meta.args are rejected, and reach no listener', async () => {
      const served = await serve();
      const { client, socket } = await join(served);
      const heard: unknown[] = [];
      socket.onAny((...args: unknown[]) => void heard.push(args));

      const fields = [
        { content: 'text', meta: { args: 2 } }, { content: [1], meta: { args: 2 } }, { content: [1, 2], meta: { args: 'two' } }, { meta: { args: 1 } },
        { content: [1], meta: { args: -1 } }, { content: { length: 1e9 }, meta: { args: 1e9 } }, { content: [1], meta: { args: null } },
      ];
      const codes = [];
      for (const each of fields) codes.push((await client.request({ type: 'x', ...each })).content.code);

      expect(codes).to.deep.equal(fields.map(() => 'INVALID_MESSAGE'));
      expect(heard).to.deep.equal([]);
    });

    it('a binary frame reaches the listener of binary, and is rejected without one', async () => {
      const served = await serve();
      const { client, socket } = await join(served);
      await client.send(Buffer.from([1, 2]));
      const refused = await client.next('error');
      const heard = new Promise((resolve) => socket.on('binary', resolve));
      await client.send(Buffer.from([3, 4]));

      expect(refused.content.code).to.equal('BINARY_UNSUPPORTED');
      expect(await heard).to.deep.equal(Buffer.from([3, 4]));
    });

    it('credentials of any shape reach the layers unchanged, or are empty', async () => {
      const served = await serve({ connect: 'explicit' });
      const seen: unknown[] = [];
      served.io.use(({ handshake: { auth } }, next) => {
        seen.push(auth);
        next(new Error('no'));
      });
      const client = await served.connect();

      for (const content of [null, 'text', 7, [], [1], {}, { a: { b: 1 } }]) await client.request({ type: 'connect', content });

      expect(seen).to.deep.equal([{}, {}, {}, {}, {}, {}, { a: { b: 1 } }]);
    });

    it('parameters of the address named like members of objects are ordinary ones', async () => {
      const served = await serve();

      const { socket } = await join(served, { search: '?__proto__=x&constructor=y&token=' });

      expect(Object.keys(socket.handshake.auth)).to.have.members(['__proto__', 'constructor', 'token']);
      expect(Object.getPrototypeOf(socket.handshake.auth)).to.equal(Object.prototype);
    });

    it('invalid room names of a client are rejected with a code', async () => {
      const served = await serve({ maxRooms: 3 });
      const { client, socket } = await join(served);
      socket.on('join', (room, ack) => {
        void socket.join(room);
        ack([...socket.rooms].slice(1));
      });
      const ask = async (content: unknown) => {
        const { content: answer } = await client.request({ type: 'join', content, ack: true });
        return answer.code ?? answer;
      };

      expect(await ask('')).to.equal('ROOM_INVALID');
      expect(await ask('x'.repeat(257))).to.equal('ROOM_INVALID');
      expect(await ask('a\u0000b')).to.equal('ROOM_INVALID');
      expect(await ask(null)).to.equal('ROOM_INVALID');
      expect(await ask({ room: 1 })).to.equal('ROOM_INVALID');
      expect(await ask([['x']])).to.equal('ROOM_INVALID');
      expect(await ask('__proto__')).to.deep.equal(['__proto__']);
      expect(await ask('constructor')).to.deep.equal(['__proto__', 'constructor']);
      expect(await ask(['a', 'b'])).to.equal('TOO_MANY_ROOMS');
      expect(socket.rooms.size).to.equal(3);
      expect(served.io.to('constructor').emit('hello')).to.be.true;
    });

    it('an unexpected acknowledgement is ignored', async () => {
      const served = await serve();
      const { client } = await join(served);

      await client.send({ type: 'ack', replyTo: 'nothing', content: 1 });

      expect((await client.request({ type: 'ping' })).type).to.equal('pong');
      expect(client.messages.map(({ type }) => type)).to.deep.equal(['pong']);
    });

    it('entering twice at the same time enters once', async () => {
      const served = await serve({ connect: 'explicit' }, { message: { concurrency: 8 } });
      let asked = 0;
      let came = 0;
      served.io.use(async (_socket, next) => {
        asked++;
        await new Promise((resolve) => setImmediate(resolve));
        next();
      });
      served.io.on('connection', () => came++);
      const client = await served.connect();

      const answers = await Promise.all([1, 2, 3].map(() => client.request({ type: 'connect' })));

      expect(answers.map(({ type }) => type)).to.deep.equal(['connected', 'connected', 'connected']);
      expect([asked, came]).to.deep.equal([1, 1]);
    });

    it('a client that leaves while a layer runs does not enter', async () => {
      const served = await serve();
      const errors = errorsOf(served);
      let came = 0;
      let go!: () => void;
      const asked = new Promise<void>((resolve) => {
        served.io.use((socket, next) => {
          void socket.join('r');
          go = next;
          resolve();
        });
      });
      served.io.on('connection', () => came++);
      const client = await served.connect();
      await asked;
      await client.terminate();
      await eventually('it to be gone', () => served.manager.connections.size === 0);
      go();
      await new Promise((resolve) => setImmediate(resolve));

      expect(came).to.equal(0);
      expect(served.io.sockets.adapter.rooms.size).to.equal(0);
      expect(errors).to.deep.equal([]);
    });

    it('a listener finishes after the client left, and join does nothing', async () => {
      const served = await serve();
      const errors = errorsOf(served);
      const { client, socket } = await join(served);
      let finish!: (value?: unknown) => void;
      const finished = new Promise<void>((resolve) => {
        socket.on('join', async (room, ack) => {
          await new Promise((later) => (finish = later));
          void socket.join(room);
          socket.to(room).emit('joined');
          ack(socket.emit('welcome'));
          resolve();
        });
      });
      await client.send({ type: 'join', content: 'r', ack: true });
      await eventually('the listener', () => (finish as unknown) !== undefined);
      await client.terminate();
      await eventually('it to be gone', () => socket.disconnected);
      finish();
      await finished;

      expect(served.io.sockets.adapter.rooms.size).to.equal(0);
      expect(served.manager.inspect()['topics']).to.equal(0);
      expect(errors).to.deep.equal([]);
    });
  });

  describe('from an application', () => {
    it('invalid event names are rejected', async () => {
      const served = await serve();
      const { socket } = await join(served);
      const names = ['', 'x'.repeat(65), 7, undefined, null, 'connect', 'disconnect', 'connect_error', 'disconnecting', 'newListener'] as string[];

      expect(names.map((name) => thrownBy(() => socket.emit(name)))).to.deep.equal(names.map(() => 'EVENT_INVALID'));
      expect(names.map((name) => thrownBy(() => served.io.emit(name)))).to.deep.equal(names.map(() => 'EVENT_INVALID'));
      expect(thrownBy(() => socket.emit('error', { message: 'as applications do' }))).to.equal('nothing');
    });

    it('events that cannot be encoded are not sent, and are reported', async () => {
      const served = await serve();
      const errors = errorsOf(served);
      const { socket } = await join(served);
      const circle: { self?: unknown } = {};
      circle.self = circle;

      const sent = [socket.emit('x', circle), served.io.emit('x', circle), served.io.emit('x', 1n)];
      const asked = await socket.emitWithAck('x', circle).catch((error: unknown) => (error as ModuleError).code);

      expect(sent).to.deep.equal([false, false, false]);
      expect(errors).to.have.length(3);
      expect(asked).to.equal('UNSENDABLE_MESSAGE');
    });

    it('invalid listeners, layers, timeouts and rooms are rejected', async () => {
      const { io, ...served } = await serve();
      const { socket } = await join({ io, ...served });

      expect(thrownBy(() => io.use(undefined as never))).to.equal('TypeError');
      expect(thrownBy(() => io.on('connection', 'x' as never))).to.equal('TypeError');
      expect(thrownBy(() => socket.on('x', undefined as never))).to.equal('TypeError');
      expect(thrownBy(() => socket.use(7 as never))).to.equal('TypeError');
      expect(thrownBy(() => socket.onAny(null as never))).to.equal('TypeError');
      expect([0, -1, NaN, Infinity, 2 ** 31, '5'].map((time) => thrownBy(() => socket.timeout(time as number)))).to.deep.equal(Array(6).fill('OPTION_INVALID'));
      expect(thrownBy(() => io.timeout(0))).to.equal('OPTION_INVALID');
      expect(thrownBy(() => io.to(undefined as never))).to.equal('ROOM_INVALID');
      expect(thrownBy(() => io.of(7 as never))).to.equal('NAMESPACE_NAME_INVALID');
      expect(thrownBy(() => io.of('/a b'))).to.equal('NAMESPACE_NAME_INVALID');
      expect(io.of('/')).to.equal(io.sockets);
    });

    it('invalid options are rejected', () => {
      expect(thrownBy(() => events({ connect: 'sometimes' as never }))).to.equal('OPTION_INVALID');
      expect(thrownBy(() => events({ ackTimeout: 0 }))).to.equal('OPTION_INVALID');
      expect(thrownBy(() => events({ maxRoom: 1 } as never))).to.equal('OPTION_UNKNOWN');
    });

    it('a layer that never continues rejects after connectTimeout', async () => {
      const served = await serve({ connectTimeout: 20 });
      served.io.use(() => undefined);
      const client = await served.connect();

      expect((await client.next('error')).content).to.include({ code: 'HANDSHAKE_TIMEOUT', namespace: '/' });
      expect(served.io.sockets.sockets.size).to.equal(0);
    });

    it('a layer that throws rejects with INTERNAL_ERROR', async () => {
      const served = await serve();
      const errors = errorsOf(served);
      served.io.use(() => { throw new Error('a secret'); });
      served.io.of('/chat').use(async () => { throw new Error('another'); });
      const client = await served.connect();

      const main = await client.next('error');
      const chat = await client.request({ type: 'connect', namespace: '/chat' });

      expect(main.content).to.deep.equal({ code: 'INTERNAL_ERROR', message: 'the server failed to handle this message', namespace: '/' });
      expect(chat.content).to.deep.equal({ code: 'INTERNAL_ERROR', message: 'the server failed to handle this message' });
      expect(errors.map(({ message }) => message)).to.deep.equal(['a secret', 'another']);
    });

    it('any value passed to next reaches the client', async () => {
      const served = await serve({ connect: 'explicit' });
      let given: unknown;
      served.io.use((_socket, next) => next(given));
      const client = await served.connect();
      const ask = async (what: unknown) => {
        given = what;
        const { code, message } = (await client.request({ type: 'connect' })).content;
        return [code, message];
      };

      expect(await ask('a text')).to.deep.equal(['CONNECTION_REFUSED', 'a text']);
      expect(await ask({ some: 'thing' })).to.deep.equal(['CONNECTION_REFUSED', 'rejected']);
      expect(await ask(new ModuleError('AUTH_REQUIRED'))).to.deep.equal(['AUTH_REQUIRED', 'authentication is required']);
      expect(await ask(new ModuleError('HIDDEN', {}, { message: 'though hidden', expose: false }))).to.deep.equal(['HIDDEN', 'though hidden']);
    });

    it('a layer may disconnect a socket', async () => {
      const served = await serve();
      served.io.use((socket, next) => {
        socket.disconnect(true);
        next();
      });
      const client = await served.connect();

      expect(await client.closed).to.include({ code: 4010 });
      expect(served.io.sockets.sockets.size).to.equal(0);
    });

    it('disconnecting in the listener of disconnecting is harmless', async () => {
      const served = await serve();
      const { socket } = await join(served);
      const heard: string[] = [];
      socket.on('disconnecting', () => {
        heard.push('disconnecting');
        socket.disconnect();
      });
      socket.on('disconnect', () => {
        heard.push('disconnect');
        socket.disconnect(true);
      });

      socket.disconnect();

      expect(heard).to.deep.equal(['disconnecting', 'disconnect']);
    });
  });

  it('a namespace with another handler of * is not taken over', async () => {
    const { manager } = await start({ use: [namespaces(), events()] });
    manager.of('/taken').registerHandler('*', () => 'somebody else');

    expect(thrownBy(() => manager.io.of('/taken'))).to.equal('DUPLICATE');
    expect(manager.of('/taken').connections.size).to.equal(0);
  });
});
