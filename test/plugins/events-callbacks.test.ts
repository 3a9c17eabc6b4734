import { expect } from 'chai';
import { acknowledge, join, serve } from '../support/events.ts';
import { eventually } from '../support/timing.ts';

/** What a function of sloppy mode, as in CommonJS, gets as `this` when none is given. */
const sloppy = (record: (self: unknown) => void, more = ''): ((...args: any[]) => unknown) =>
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- a function of a module is strict
  new Function('record', `return function (...args) { record(this); ${more} }`)(record) as (...args: any[]) => unknown;

describe('callbacks of events', () => {
  it('run with the socket as `this`, so that what they keep there is no other client\'s', async () => {
    const served = await serve();
    served.io.on('connection', (socket) => {
      socket.on('set username', function setUsername(this: any, username, ack) {
        this.username = username;
        ack();
      });
      socket.on('who am I', function tell(this: any, ack) { ack(this.username ?? 'nobody'); });
    });
    const [ann, eve] = [await join(served), await join(served)];

    await ann.client.request({ type: 'set username', content: 'ann', ack: true });
    const answers = await Promise.all([ann, eve].map(({ client }) => client.request({ type: 'who am I', ack: true })));

    expect(answers.map(({ content }) => content)).to.deep.equal(['ann', 'nobody']);
    expect(globalThis).to.not.have.property('username');
  });

  it('never run with the global object: those of a socket, layers among them, have the socket', async () => {
    const served = await serve();
    const seen: unknown[] = [];
    const keep = (more?: string) => sloppy((self) => seen.push(self), more);
    served.io.use(keep('args[1]();'));
    const { client, socket } = await join(served);
    socket.use(keep('args[1]();'));
    socket.on('x', keep()).once('x', keep()).onAny(keep());
    socket.on('disconnecting', keep()).on('disconnect', keep()).on('error', keep());

    await client.send({ type: 'x' });
    socket.emit('question', keep());
    await acknowledge(client, 'question', { content: 1 });
    socket.timeout(1_000).emit('question', keep('throw new Error("for the listener of error");'));
    await acknowledge(client, 'question', { content: 1 });
    await client.request({ type: 'ping' });
    socket.disconnect();

    await eventually('all of them to have run', () => seen.length === 10 || seen.length);
    expect(seen.every((self) => self === socket)).to.be.true;
  });

  it('of `connection` have the namespace, and those of a broadcast the broadcast', async () => {
    const served = await serve();
    const seen: unknown[] = [];
    const keep = () => sloppy((self) => seen.push(self));
    served.io.on('connection', keep());
    served.io.of('/chat').on('connection', keep());
    const { client } = await join(served);
    await client.request({ type: 'connect', namespace: '/chat' });
    const broadcast = served.io.timeout(1_000);

    broadcast.emit('question', keep());
    await acknowledge(client, 'question', {});

    await eventually('all of them to have run', () => seen.length === 3 || seen.length);
    expect(seen[0]).to.equal(served.io.sockets);
    expect(seen[1]).to.equal(served.io.of('/chat'));
    expect(seen[2]).to.equal(broadcast);
  });
});
