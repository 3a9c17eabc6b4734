import { expect } from 'chai';
import { stub } from 'sinon';
import { events } from '../../plugins/events.ts';
import { namespaces } from '../../plugins/namespaces.ts';
import { cleanup } from '../support/cleanup.ts';
import type { Client } from '../support/client.ts';
import { errorsOf, join, serve } from '../support/events.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

describe('events under traffic', () => {
  it('let many clients enter at once, even if the plugin is unloaded meanwhile', async () => {
    const warnings: Error[] = [];
    const listen = (warning: Error) => warnings.push(warning);
    process.on('warning', listen);
    cleanup(() => process.off('warning', listen));
    const served = await serve();
    const errors = errorsOf(served);
    let asked = 0;
    served.io.use(() => { asked++; });
    const clients = await Promise.all(Array.from({ length: 30 }, () => served.connect()));
    await Promise.all(clients.map((client) => client.request({ type: 'ping' })));

    await served.manager.unload('events');

    const codes = await Promise.all(clients.map(async (client) => (await client.next('error')).content.code as string));
    expect(asked).to.equal(30);
    expect([...new Set(codes)]).to.deep.equal(['CONNECTION_REFUSED']);
    expect(served.manager.inspect()).to.include({ deadlines: 0 });
    expect(errors).to.deep.equal([]);
    expect(warnings).to.deep.equal([]);
  });

  it('report no error when a client leaves while it enters', async () => {
    const served = await serve({ connect: 'explicit' });
    const errors = errorsOf(served);
    const goOn: (() => void)[] = [];
    for (const entrance of [served.io, served.io.of('/chat')]) entrance.use((_socket, next) => void goOn.push(next));
    for (const namespace of ['/', '/chat']) {
      const client = await served.connect();
      await client.send({ type: 'connect', namespace });
      await eventually('asked', () => goOn.length === 1);
      await client.terminate();
      await eventually('gone', () => served.manager.connections.size === 0);
      goOn.pop()!();
      await eventually('answered', () => served.manager.inspect().inFlight === 0);
    }

    expect(errors).to.deep.equal([]);
    expect(served.manager.inspect()).to.include({ topics: 0, deadlines: 0 });
  });

  it('are unloaded and loaded again while clients ask, and every question is answered', async () => {
    const rejections: unknown[] = [];
    const listen = (reason: unknown) => rejections.push(reason);
    process.on('unhandledRejection', listen);
    cleanup(() => process.off('unhandledRejection', listen));
    const plugin = events();
    const started = await start({ use: [namespaces(), plugin] });
    const errors = errorsOf(started);
    const { io } = started.manager;
    io.use((_socket, next) => void setImmediate(next));
    io.on('connection', async (socket) => {
      void socket.join('all');
      await new Promise((resolve) => setImmediate(resolve));
      socket.on('now', (text, ack) => {
        socket.to('all').emit('news', text);
        ack?.(text);
      });
      socket.on('later', async (text, ack) => {
        await new Promise((resolve) => setImmediate(resolve));
        ack?.(text);
      });
      socket.on('never', () => undefined);
    });
    const clients = await Promise.all(Array.from({ length: 10 }, () => started.connect()));
    let isOver = false;
    const counts = new Map<string, number>();
    const talk = async (client: Client): Promise<void> => {
      for (let count = 0; !isOver; count++) {
        const type = ['now', 'later', 'never'][count % 3]!;
        const answer = await client.request({ type, content: count, ack: true }, 20_000);
        const outcome = answer.content?.code ?? answer.type;
        counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
      }
    };
    // One that is never acknowledged waits, so the others of a client go on beside it.
    const talks = clients.flatMap((client) => [talk(client), talk(client), talk(client), talk(client)]);

    for (let round = 0; round < 5; round++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await started.manager.unload('events');
      await new Promise((resolve) => setImmediate(resolve));
      started.manager.use(plugin);
      await started.manager.ready();
    }
    isOver = true;
    await started.manager.unload('events');
    await Promise.all(talks);

    expect([...counts.keys()].every((outcome) => ['ack', 'UNKNOWN_TYPE', 'NAMESPACE_NOT_JOINED'].includes(outcome)), [...counts.keys()].join()).to.be.true;
    expect(counts.get('ack')).to.be.above(0);
    expect(errors).to.deep.equal([]);
    expect(rejections).to.deep.equal([]);
  });

  it('publish once per room, and once to a socket\'s own room', async () => {
    const served = await serve();
    const all = [await join(served), await join(served), await join(served)];
    served.io.socketsJoin('r');
    const encoded = stub().callsFake(({ type }: { type: string }) => type);
    served.manager.on('message:sent', encoded);

    served.io.emit('all');
    served.io.to('r').emit('room');
    all[0]!.socket.to('r').emit('others');
    served.io.to(all[0]!.socket.id).emit('one');

    expect(encoded.args.map(([{ message, target }]) => [message.type, target.topic ?? 'a connection'])).to.deep.equal([
      ['all', 'ns:/'], ['room', 'io:/#r'], ['others', 'io:/#r'], ['one', 'a connection'],
    ]);
  });
});
