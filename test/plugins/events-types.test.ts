// What is asked of the arguments here is their types.
/* eslint-disable @typescript-eslint/no-unused-vars, @typescript-eslint/no-unnecessary-type-parameters */
import { expect } from 'chai';
import { events, type RemoteSocket, type Server, type Socket } from '../../plugins/events.ts';
import { WebSocketModule } from '../../index.ts';
import { cleanup } from '../support/cleanup.ts';

interface ClientToServer {
  'chat message': (text: string, acknowledge: (id: number) => void) => void;
  typing: () => void;
}
interface ServerToClient {
  news: (title: string, count: number) => void;
  question: (text: string, acknowledge: (answer: boolean) => void) => void;
}
interface Data { name: string }
interface Nodes { refresh: (what: string) => void; size: (unit: string, acknowledge: (size: number) => void) => void }

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
const same = <A, B>(_: Same<A, B>): void => undefined;

/** Never called: what is wrong here is wrong when it is compiled. */
function typed(io: Server<ClientToServer, ServerToClient, Data>): void {
  io.on('connection', async (socket) => {
    same<typeof socket, Socket<ClientToServer, ServerToClient, Data>>(true);
    same<typeof socket.data, Data>(true);

    socket.on('chat message', (text, acknowledge) => {
      same<typeof text, string>(true);
      same<Parameters<typeof acknowledge>, [id: number]>(true);
      // @ts-expect-error it is acknowledged with a number
      acknowledge('1');
    });
    socket.once('typing', () => undefined);
    socket.on('disconnect', (reason) => {
      same<typeof reason, 'client namespace disconnect' | 'server namespace disconnect' | 'transport close' | 'ping timeout' | 'server shutting down'>(true);
    });
    // @ts-expect-error the client sends no such event
    socket.on('chat', () => undefined);
    // @ts-expect-error the text is a string
    socket.on('chat message', (text: number) => text);

    socket.emit('news', 'title', 1);
    socket.emit('question', 'really?', (answer) => same<typeof answer, boolean>(true));
    // @ts-expect-error a count is missing
    socket.emit('news', 'title');
    // @ts-expect-error the server sends no such event
    socket.emit('chat message', 'text');
    socket.timeout(1_000).emit('question', 'really?', (error, answer) => {
      same<typeof error, Error | null>(true);
      same<typeof answer, boolean | undefined>(true);
    });
    same<boolean, Awaited<ReturnType<typeof socket.emitWithAck<'question'>>>>(true);
    const answer = await socket.timeout(1_000).emitWithAck('question', 'really?');
    same<typeof answer, boolean>(true);
    // @ts-expect-error the acknowledgement is what it resolves to
    await socket.emitWithAck('question', 'really?', () => undefined);

    socket.broadcast.to('room').emit('news', 'title', 1);
    // @ts-expect-error rooms are named
    socket.to();
  });

  io.timeout(1_000).to('room').emit('question', 'really?', (error, answers) => {
    same<typeof error, Error | null>(true);
    same<typeof answers, boolean[]>(true);
  });
  same<Awaited<ReturnType<typeof io.emitWithAck<'question'>>>, boolean[]>(true);
  for (const socket of io.of('/chat').sockets.values()) same<typeof socket.data.name, string>(true);
  io.of<{ move: (x: number) => void }, { moved: (x: number) => void }, undefined>('/game').on('connection', (socket) => {
    socket.on('move', (x) => socket.broadcast.emit('moved', x));
  });
  // @ts-expect-error a layer is a function
  io.use('layer');
}

/** Nor is this: what goes between nodes has a map of its own. */
async function between(io: Server<ClientToServer, ServerToClient, Data, Nodes>): Promise<void> {
  io.on('refresh', (what) => same<typeof what, string>(true));
  io.of('/chat').on('size', (unit, acknowledge) => acknowledge(unit.length));
  io.serverSideEmit('refresh', 'all');
  io.serverSideEmit('size', 'kg', (error, sizes) => {
    same<typeof error, Error | null>(true);
    same<typeof sizes, number[]>(true);
  });
  same<Awaited<ReturnType<typeof io.serverSideEmitWithAck<'size'>>>, number[]>(true);
  // @ts-expect-error no such event is sent
  io.serverSideEmit('typing');
  // @ts-expect-error it says what
  io.serverSideEmit('refresh');
  // @ts-expect-error sockets that enter raise it
  (io as Server).serverSideEmit('connection');
  // @ts-expect-error its listener gets a socket
  io.on('connection', (name: string) => name);

  const [socket] = await io.fetchSockets();
  if (!socket) return;
  same<typeof socket, RemoteSocket<ServerToClient, Data>>(true);
  same<typeof socket.data, Data>(true);
  socket.emit('news', 'title', 1);
  same<Awaited<ReturnType<typeof socket.emitWithAck<'question'>>>, boolean>(true);
  // @ts-expect-error it may be on another node, where its listeners are
  socket.on('typing', () => undefined);
  const here = io.sockets.sockets.get(socket.id);
  here?.on('typing', () => undefined);
  await here?.join('room');
}

/** Nor is this: without maps, everything may be sent. */
function untyped(io: Server): void {
  io.on('connection', (socket) => {
    socket.on('anything', (a, b, acknowledge) => acknowledge(a, b));
    socket.emit('anything', 1, 'two', (answer: unknown) => answer);
    socket.data.whatever = 1;
    void socket.emitWithAck('anything', 1).then((answer) => answer.field);
  });
}

describe('the types of events', () => {
  it('are checked if maps are given, and accept anything without maps', () => {
    expect([typed, between, untyped]).to.have.length(3);
  });

  it('are given when the server is created', () => {
    const manager = WebSocketModule.create({ port: 0, plugins: ['namespaces'] });
    cleanup(() => manager.stop());

    const io = events.io<ClientToServer, ServerToClient, Data>(manager);

    same<typeof io, Server<ClientToServer, ServerToClient, Data>>(true);
    expect(io.sockets.name).to.equal('/');
  });
});
