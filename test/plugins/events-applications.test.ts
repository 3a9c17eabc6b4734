/* Servers as they are written for Socket.IO, with their own lines but for texts and logs. */
/* eslint-disable @typescript-eslint/prefer-optional-chain */
import { expect } from 'chai';
import jwt from 'jsonwebtoken';
import type { Server } from '../../plugins/events.ts';
import type { Client } from '../support/client.ts';
import { errorsOf, join, serve, type Served } from '../support/events.ts';
import { eventually } from '../support/timing.ts';

const SECRET = 'a secret of more than thirty-two characters';
const tokenOf = (claims: object) => jwt.sign(claims, SECRET);

/** What a client is answered by a callback. */
async function ask(client: Client, type: string, content?: unknown): Promise<any> {
  return (await client.request({ type, ...(content === undefined ? {} : { content }), ack: true })).content;
}

class RoomManager {
  io: Server;
  rooms = new Map<string, any>();
  userRooms = new Map<string, Set<string>>();
  constructor(io: Server) { this.io = io; }

  createRoom(roomId: string, roomInfo: any = {}): boolean {
    if (!this.rooms.has(roomId)) {
      this.rooms.set(roomId, {
        id: roomId, name: roomInfo.name || roomId, createdBy: roomInfo.createdBy, maxUsers: roomInfo.maxUsers || 100,
        isPrivate: roomInfo.isPrivate || false, password: roomInfo.password, users: new Set(),
      });
      return true;
    }
    return false;
  }

  async joinRoom(socket: any, roomId: string, password: string | null = null): Promise<boolean> {
    const room = this.rooms.get(roomId);
    if (!room) {
      socket.emit('room error', { message: 'no such room' });
      return false;
    }
    if (room.isPrivate && room.password !== password) {
      socket.emit('room error', { message: 'wrong password' });
      return false;
    }
    if (room.users.size >= room.maxUsers) {
      socket.emit('room error', { message: 'full' });
      return false;
    }
    await socket.join(roomId);
    room.users.add(socket.id);
    if (!this.userRooms.has(socket.id)) {
      this.userRooms.set(socket.id, new Set());
    }
    this.userRooms.get(socket.id)!.add(roomId);
    socket.to(roomId).emit('user joined', { socketId: socket.id, username: socket.username, roomId, userCount: room.users.size });
    socket.emit('room joined', { roomId, roomName: room.name, userCount: room.users.size, users: Array.from(room.users) });
    return true;
  }

  async leaveRoom(socket: any, roomId: string): Promise<boolean> {
    const room = this.rooms.get(roomId);
    if (room && room.users.has(socket.id)) {
      await socket.leave(roomId);
      room.users.delete(socket.id);
      if (this.userRooms.has(socket.id)) {
        this.userRooms.get(socket.id)!.delete(roomId);
      }
      socket.to(roomId).emit('user left', { socketId: socket.id, username: socket.username, roomId, userCount: room.users.size });
      if (room.users.size === 0) {
        this.rooms.delete(roomId);
      }
      return true;
    }
    return false;
  }

  async leaveAllRooms(socket: any): Promise<void> {
    if (this.userRooms.has(socket.id)) {
      const rooms = Array.from(this.userRooms.get(socket.id)!);
      for (const roomId of rooms) {
        await this.leaveRoom(socket, roomId);
      }
      this.userRooms.delete(socket.id);
    }
  }

  getRoomList(): unknown[] {
    const roomList: unknown[] = [];
    this.rooms.forEach((room, roomId) => {
      if (!room.isPrivate) {
        roomList.push({ id: roomId, name: room.name, userCount: room.users.size });
      }
    });
    return roomList;
  }
}

class SocketIOMonitor {
  io: Server;
  metrics = {
    connections: { total: 0, active: 0, peak: 0 },
    messages: { sent: 0, received: 0 },
    rooms: { total: 0, active: 0 },
    errors: { connection: 0, message: 0, auth: 0 },
  };

  constructor(io: Server) {
    this.io = io;
    this.io.on('connection', (socket: any) => {
      this.metrics.connections.total++;
      this.metrics.connections.active++;
      this.metrics.connections.peak = Math.max(this.metrics.connections.peak, this.metrics.connections.active);
      const originalEmit = socket.emit;
      socket.emit = (...args: any[]) => {
        this.metrics.messages.sent++;
        return originalEmit.apply(socket, args);
      };
      const originalOn = socket.on;
      socket.on = (event: string, handler: any) => {
        return originalOn.call(socket, event, (...args: any[]) => {
          if (event !== 'disconnect' && event !== 'error') {
            this.metrics.messages.received++;
          }
          try {
            return handler(...args);
          } catch {
            this.metrics.errors.message++;
          }
        });
      };
      socket.on('disconnect', () => {
        this.metrics.connections.active--;
      });
      socket.on('error', () => {
        this.metrics.errors.connection++;
      });
    });
    this.io.use((_socket, next) => {
      const originalNext = next;
      next = (err) => {
        if (err) {
          this.metrics.errors.auth++;
        }
        return originalNext(err);
      };
      next();
    });
  }

  updateMetrics(): void {
    this.metrics.rooms.total = this.io.sockets.adapter.rooms.size;
    this.metrics.rooms.active = Array.from(this.io.sockets.adapter.rooms.values()).filter((room) => room.size > 0).length;
  }
}

function roomServer(io: Server): RoomManager {
  const roomManager = new RoomManager(io);
  io.on('connection', (socket: any) => {
    socket.on('set username', (username: string) => {
      socket.username = username;
    });
    socket.on('create room', (data: any) => {
      const { roomId, roomName, isPrivate, password, maxUsers } = data;
      const created = roomManager.createRoom(roomId, { name: roomName, createdBy: socket.id, isPrivate, password, maxUsers });
      socket.emit('room created', { success: created, roomId: created ? roomId : null });
    });
    socket.on('join room', async (data: any) => {
      const { roomId, password } = data;
      await roomManager.joinRoom(socket, roomId, password);
    });
    socket.on('leave room', async (roomId: string) => {
      await roomManager.leaveRoom(socket, roomId);
    });
    socket.on('room message', (data: any) => {
      const { roomId, message } = data;
      socket.to(roomId).emit('room message', { from: socket.id, username: socket.username, message, roomId });
    });
    socket.on('get rooms', () => {
      socket.emit('room list', roomManager.getRoomList());
    });
    socket.on('disconnect', async () => {
      await roomManager.leaveAllRooms(socket);
    });
  });
  return roomManager;
}

describe('servers written for Socket.IO', () => {
  it('run: a chat with private messages', async () => {
    const served = await serve();
    const { io } = served;
    const reasons: string[] = [];
    io.on('connection', (socket) => {
      socket.emit('welcome', { socketId: socket.id });
      socket.on('chat message', (msg) => {
        io.emit('chat message', { id: socket.id, message: msg });
      });
      socket.on('private message', (data) => {
        const { targetSocketId, message } = data;
        socket.to(targetSocketId).emit('private message', { from: socket.id, message });
      });
      socket.on('disconnect', (reason) => reasons.push(reason));
      socket.on('error', () => undefined);
    });
    const [ann, bob] = [await served.connect(), await served.connect()];
    const [{ content: { socketId: annId } }, { content: { socketId: bobId } }] = [await ann.next('welcome'), await bob.next('welcome')];

    await ann.send({ type: 'chat message', content: 'hello' });
    await ann.send({ type: 'private message', content: { targetSocketId: bobId, message: 'psst' } });

    expect((await bob.next('chat message')).content).to.deep.equal({ id: annId, message: 'hello' });
    expect((await ann.next('chat message')).content.message).to.equal('hello');
    expect((await bob.next('private message')).content).to.deep.equal({ from: annId, message: 'psst' });
    await ann.close();
    await eventually('the disconnect', () => reasons.length > 0);
    expect(reasons).to.deep.equal(['transport close']);
  });

  it('run: rooms of a custom manager', async () => {
    const served = await serve();
    const errors = errorsOf(served);
    const roomManager = roomServer(served.io);
    const [ann, bob] = [await join(served), await join(served)];

    await ann.client.send({ type: 'set username', content: 'Ann' });
    await ann.client.send({ type: 'create room', content: { roomId: 'r1', roomName: 'Room', isPrivate: true, password: 'pw' } });
    await ann.client.send({ type: 'join room', content: { roomId: 'r1', password: 'pw' } });
    const joined = await ann.client.next('room joined');
    await bob.client.send({ type: 'join room', content: { roomId: 'r1', password: 'guess' } });
    await bob.client.send({ type: 'join room', roomId: 'r1', password: 'pw' });
    const refused = await bob.client.next('room error');
    const news = await ann.client.next('user joined');
    await ann.client.send({ type: 'room message', content: { roomId: 'r1', message: 'hi' } });
    const said = await bob.client.next('room message');
    await bob.client.send({ type: 'get rooms' });
    const list = await bob.client.next('room list');
    await ann.client.terminate();
    const left = await bob.client.next('user left');

    expect(joined.content).to.deep.include({ roomId: 'r1', roomName: 'Room', userCount: 1 });
    expect(refused.content.message).to.equal('wrong password');
    expect(news.content).to.include({ socketId: bob.socket.id, userCount: 2 });
    expect(said.content).to.deep.equal({ from: ann.socket.id, username: 'Ann', message: 'hi', roomId: 'r1' });
    expect(list.content).to.deep.equal([]);
    expect(left.content).to.deep.include({ socketId: ann.socket.id, username: 'Ann', userCount: 1 });
    expect([...roomManager.userRooms.keys()]).to.deep.equal([bob.socket.id]);
    expect(errors).to.deep.equal([]);
  });

  it('run: three namespaces, one of them for administrators', async () => {
    const served = await serve();
    const { io } = served;
    const chatNamespace = io.of('/chat');
    const gameNamespace = io.of('/game');
    const adminNamespace = io.of('/admin');
    chatNamespace.use((socket: any, next) => {
      const token = socket.handshake.auth.token;
      if (token) {
        try {
          const decoded: any = jwt.verify(token, SECRET);
          socket.userId = decoded.userId;
          socket.username = decoded.username;
          next();
        } catch {
          next(new Error('Authentication error'));
        }
      } else {
        next(new Error('Authentication error'));
      }
    });
    chatNamespace.on('connection', (socket: any) => {
      void socket.join(`user:${socket.userId}`);
      socket.on('chat message', (data: any) => {
        const message = { from: socket.userId, username: socket.username, content: data.content };
        if (data.roomId) {
          socket.to(data.roomId).emit('chat message', message);
        } else {
          chatNamespace.emit('chat message', message);
        }
      });
      socket.on('private message', (data: any) => {
        socket.to(`user:${data.to}`).emit('private message', { from: socket.userId, content: data.content });
        socket.emit('message sent', { messageId: 1 });
      });
    });
    gameNamespace.on('connection', (socket) => {
      socket.on('join game', (gameId) => {
        void socket.join(`game:${gameId}`);
        socket.to(`game:${gameId}`).emit('player joined', { playerId: socket.id, gameId });
      });
      socket.on('game action', (data) => {
        gameNamespace.to(`game:${data.gameId}`).emit('game update', { moved: data.move });
      });
      socket.on('disconnect', () => {
        gameNamespace.emit('player disconnected', socket.id);
      });
    });
    adminNamespace.use((socket: any, next) => {
      const token = socket.handshake.auth.token;
      try {
        const decoded: any = jwt.verify(token, SECRET);
        if (decoded.role === 'admin') {
          socket.userId = decoded.userId;
          next();
        } else {
          next(new Error('Insufficient permissions'));
        }
      } catch {
        next(new Error('Authentication error'));
      }
    });
    adminNamespace.on('connection', (socket) => {
      socket.on('get stats', () => {
        socket.emit('stats', {
          totalConnections: io.engine.clientsCount, chatConnections: chatNamespace.sockets.size, gameConnections: gameNamespace.sockets.size,
          adminConnections: adminNamespace.sockets.size, rooms: Array.from(io.sockets.adapter.rooms.keys()),
        });
      });
      socket.on('broadcast message', (data) => {
        io.emit('system message', { type: 'announcement', content: data.message });
      });
      socket.on('kick user', (socketId) => {
        const targetSocket = io.sockets.sockets.get(socketId);
        if (targetSocket) {
          targetSocket.emit('kicked', { reason: 'by an administrator' });
          targetSocket.disconnect(true);
        }
      });
    });
    const ann = await join(served);
    const bob = await join(served);
    const enter = (client: Client, namespace: string, content?: object) => client.request({ type: 'connect', namespace, ...(content ? { content } : {}) });

    const nobody = await enter(ann.client, '/chat');
    const forged = await enter(ann.client, '/chat', { token: 'forged' });
    await enter(ann.client, '/chat', { token: tokenOf({ userId: 'ann', username: 'Ann', role: 'admin' }) });
    await enter(bob.client, '/chat', { token: tokenOf({ userId: 'bob', username: 'Bob' }) });
    const notAdmin = await enter(bob.client, '/admin', { token: tokenOf({ userId: 'bob' }) });
    await enter(ann.client, '/admin', { token: tokenOf({ userId: 'ann', role: 'admin' }) });
    await enter(ann.client, '/game');
    await enter(bob.client, '/game');

    expect(nobody.content).to.include({ code: 'CONNECTION_REFUSED', message: 'Authentication error' });
    expect(forged.content.message).to.equal('Authentication error');
    expect(notAdmin.content.message).to.equal('Insufficient permissions');

    await ann.client.send({ type: 'chat message', namespace: '/chat', content: { content: 'hi all' } });
    await ann.client.send({ type: 'private message', namespace: '/chat', content: { to: 'bob', content: 'hi Bob' } });
    expect(await bob.client.next('chat message')).to.deep.include({ namespace: '/chat', content: { from: 'ann', username: 'Ann', content: 'hi all' } });
    expect((await bob.client.next('private message')).content).to.deep.equal({ from: 'ann', content: 'hi Bob' });
    expect((await ann.client.next('message sent')).content).to.deep.equal({ messageId: 1 });

    await ann.client.send({ type: 'join game', namespace: '/game', content: 7 });
    await ann.client.request({ type: 'ping' });
    await bob.client.send({ type: 'join game', namespace: '/game', content: 7 });
    expect((await ann.client.next('player joined')).content).to.deep.equal({ playerId: bob.socket.id, gameId: 7 });
    await ann.client.send({ type: 'game action', namespace: '/game', content: { gameId: 7, move: 'e4' } });
    expect((await bob.client.next('game update')).content).to.deep.equal({ moved: 'e4' });

    await ann.client.send({ type: 'get stats', namespace: '/admin' });
    expect((await ann.client.next('stats')).content).to.deep.equal({
      totalConnections: 2, chatConnections: 2, gameConnections: 2, adminConnections: 1, rooms: [ann.socket.id, bob.socket.id],
    });
    await ann.client.send({ type: 'broadcast message', namespace: '/admin', content: { message: 'lunch' } });
    expect((await bob.client.next('system message')).content).to.deep.equal({ type: 'announcement', content: 'lunch' });
    await ann.client.send({ type: 'kick user', namespace: '/admin', content: bob.socket.id });
    expect((await bob.client.next('kicked')).content).to.deep.equal({ reason: 'by an administrator' });
    expect((await bob.client.closed).code).to.equal(4010);
    expect((await ann.client.next('player disconnected')).content).to.equal(bob.socket.id);
  });

  it('run: layers for sockets and for events', async () => {
    const served = await serve();
    const { io } = served;
    const lines: string[] = [];
    const rateLimiter = new Map<string, number>();
    const authMiddleware = (socket: any, next: (error?: Error) => void): void => {
      const token = socket.handshake.auth.token || socket.handshake.headers.authorization;
      if (!token) {
        return next(new Error('Authentication error: No token provided'));
      }
      try {
        const decoded: any = jwt.verify(token.replace('Bearer ', ''), SECRET);
        socket.userId = decoded.userId;
        socket.role = decoded.role;
        next();
      } catch {
        next(new Error('Authentication error: Invalid token'));
      }
    };
    const roleMiddleware = (requiredRole: string) => (socket: any, next: (error?: Error) => void): void => {
      if (socket.role && socket.role === requiredRole) {
        next();
      } else {
        next(new Error(`Access denied: ${requiredRole} role required`));
      }
    };
    const rateLimitMiddleware = (maxRequests: number) => (socket: any, next: (error?: Error) => void): void => {
      const clientId = socket.handshake.address;
      rateLimiter.set(clientId, (rateLimiter.get(clientId) ?? 0) + 1);
      if (rateLimiter.get(clientId)! <= maxRequests) next();
      else next(new Error('Rate limit exceeded'));
    };
    io.use((socket, next) => {
      socket.on('disconnect', () => lines.push(`left ${socket.id}`));
      lines.push(`new ${socket.id}, IP: ${socket.handshake.address}`);
      next();
    });
    io.use(rateLimitMiddleware(4));
    io.use(authMiddleware);
    io.of('/admin').use(authMiddleware);
    io.of('/admin').use(roleMiddleware('admin'));
    const eventMiddleware = (eventName: string, handler: (socket: any, data: any) => Promise<unknown>) => (socket: any): void => {
      socket.on(eventName, async (data: any, callback: unknown) => {
        try {
          if (typeof data.content !== 'string') {
            throw new Error('Invalid data format');
          }
          const result = await handler(socket, data);
          if (callback && typeof callback === 'function') {
            callback({ success: true, data: result });
          }
        } catch (error) {
          if (callback && typeof callback === 'function') {
            callback({ success: false, error: (error as Error).message });
          }
          socket.emit('error', { event: eventName, message: (error as Error).message });
        }
      });
    };
    io.on('connection', (socket) => {
      eventMiddleware('chat message', async (sender, data) => {
        sender.broadcast.emit('chat message', { from: sender.userId, content: data.content });
        return data.content;
      })(socket);
    });
    const bearer = { headers: { authorization: `Bearer ${tokenOf({ userId: 'ann' })}` } };

    const nobody = await served.connect();
    const refused = await nobody.next('error');
    const ann = await join(served, bearer);
    const bob = await join(served, { search: `?token=${tokenOf({ userId: 'bob', role: 'admin' })}` });
    const chatted = await ask(ann.client, 'chat message', { content: 'hi' });
    const invalid = await ask(ann.client, 'chat message', { content: 7 });
    const annIsNoAdmin = await ann.client.request({ type: 'connect', namespace: '/admin' });
    const bobIsAdmin = await bob.client.request({ type: 'connect', namespace: '/admin' });
    await served.connect(bearer);
    const tooMany = await (await served.connect(bearer)).next('error');
    await ann.client.close();
    await eventually('the line', () => lines.includes(`left ${ann.socket.id}`));

    expect(refused.content.message).to.equal('Authentication error: No token provided');
    expect(chatted).to.deep.equal({ success: true, data: 'hi' });
    expect((await bob.client.next('chat message')).content).to.deep.equal({ from: 'ann', content: 'hi' });
    expect(invalid).to.deep.equal({ success: false, error: 'Invalid data format' });
    expect((await ann.client.next('error')).content).to.deep.equal({ event: 'chat message', message: 'Invalid data format' });
    expect(annIsNoAdmin.content.message).to.equal('Access denied: admin role required');
    expect(bobIsAdmin.type).to.equal('connected');
    expect(tooMany.content.message).to.equal('Rate limit exceeded');
    expect(lines).to.include(`new ${ann.socket.id}, IP: 127.0.0.1`);
  });

  it('run: a monitor that replaces methods of the socket', async () => {
    const served = await serve();
    const monitor = new SocketIOMonitor(served.io);
    served.io.on('connection', (socket) => {
      socket.emit('welcome', 1);
      socket.on('good', (_, ack) => ack('ok'));
      socket.on('bad', () => { throw new Error('bad'); });
    });
    const [one, two] = [await join(served), await join(served)];

    expect(await ask(one.client, 'good', 1)).to.equal('ok');
    await one.client.send({ type: 'bad', content: 1 });
    await one.client.request({ type: 'ping' });
    void one.socket.join('r');
    monitor.updateMetrics();
    const rooms = { ...monitor.metrics.rooms };
    await two.client.close();
    await eventually('one active', () => monitor.metrics.connections.active === 1);

    expect(monitor.metrics.connections).to.deep.equal({ total: 2, active: 1, peak: 2 });
    expect(monitor.metrics.messages).to.deep.equal({ sent: 2, received: 2 });
    expect(monitor.metrics.errors).to.deep.equal({ connection: 0, message: 1, auth: 0 });
    expect(rooms).to.deep.equal({ total: 3, active: 3 });
  });

  it('run: the complete chat server', async () => {
    const served = await serve();
    const errors = errorsOf(served);
    const { io } = served;
    const saved: unknown[] = [];
    const save = async (message: unknown) => void saved.push(message);
    completeChat(io, save);
    const comes = async (name: string): Promise<{ client: Client; welcome: any }> => {
      const client = await served.connect({ search: `?token=${tokenOf({ userId: name, username: name })}` });
      return { client, welcome: (await client.next('welcome')).content };
    };
    const nobody = await served.connect();
    expect((await nobody.next('error')).content.message).to.equal('no token');

    const ann = await comes('ann');
    const bob = await comes('bob');

    expect(bob.welcome.message).to.equal('welcome bob');
    expect((await ann.client.next('user online')).content).to.deep.equal({ userId: 'bob', username: 'bob' });
    expect(await ask(ann.client, 'create room', { roomId: 'r', roomName: 'R' })).to.deep.equal({ success: true, roomId: 'r' });
    expect(await ask(ann.client, 'create room', { roomId: 'r', roomName: 'R' })).to.deep.equal({ success: false, roomId: null });
    expect(await ask(ann.client, 'join room', { roomId: 'r' })).to.deep.equal({ success: true, roomId: 'r' });
    expect(await ask(bob.client, 'join room', { roomId: 'r' })).to.deep.equal({ success: true, roomId: 'r' });
    expect(await ask(bob.client, 'chat message', { content: '' })).to.deep.equal({ success: false, error: 'content is empty' });
    expect(await ask(bob.client, 'chat message', { content: 'in r', roomId: 'r' })).to.deep.equal({ success: true, messageId: 1 });
    expect((await ann.client.next('chat message')).content).to.deep.equal({ id: 1, from: 'bob', content: 'in r', roomId: 'r' });
    expect(await ask(bob.client, 'private message', { to: 'ann', content: 'psst' })).to.deep.equal({ success: true, messageId: 2 });
    expect((await ann.client.next('private message')).content).to.deep.include({ from: 'bob', content: 'psst' });
    expect(await ask(bob.client, 'private message', { to: 'carl', content: 'psst' })).to.deep.equal({ success: false, error: 'not online' });
    expect(await ask(bob.client, 'get rooms')).to.deep.equal({ success: true, rooms: [{ id: 'r', name: 'R', userCount: 2 }] });
    expect((await ask(bob.client, 'get online users')).users.map(({ id }: any) => id)).to.deep.equal(['ann', 'bob']);
    expect(await ask(bob.client, 'leave room', 'r')).to.deep.equal({ success: true, roomId: 'r' });
    await bob.client.terminate();
    expect((await ann.client.next('user offline')).content).to.deep.equal({ userId: 'bob', username: 'bob' });
    io.emit('server shutdown', { message: 'for maintenance' });
    expect((await ann.client.next('server shutdown')).content).to.deep.equal({ message: 'for maintenance' });
    expect(saved).to.have.length(3);
    expect(errors).to.deep.equal([]);
  });
});

function completeChat(io: Served['io'], saveMessage: (message: unknown) => Promise<void>): void {
  const roomManager = new RoomManager(io);
  let ids = 0;
  const validate = (data: any): any => {
    if (data.content === '') {
      throw new Error('content is empty');
    }
    return data;
  };
  const findUserSocket = (userId: string): any => {
    for (const [, socket] of io.sockets.sockets) {
      if ((socket as any).userId === userId) {
        return socket;
      }
    }
    return null;
  };
  new SocketIOMonitor(io);
  io.use((socket: any, next) => {
    const token = socket.handshake.auth.token;
    if (!token) {
      return next(new Error('no token'));
    }
    try {
      const decoded: any = jwt.verify(token, SECRET);
      socket.userId = decoded.userId;
      socket.username = decoded.username;
      next();
    } catch {
      next(new Error('authentication failed'));
    }
  });
  io.on('connection', (socket: any) => {
    socket.emit('welcome', { message: `welcome ${socket.username}` });
    socket.broadcast.emit('user online', { userId: socket.userId, username: socket.username });
    const answered = (act: (data: any) => Promise<object>) => async (data: any, callback: any) => {
      try {
        const answer = await act(data);
        if (callback) {
          callback(answer);
        }
      } catch (error) {
        if (callback) {
          callback({ success: false, error: (error as Error).message });
        }
      }
    };
    socket.on('chat message', answered(async (data) => {
      const { content, roomId } = validate(data);
      const message = { id: ++ids, from: socket.userId, content, roomId };
      await saveMessage(message);
      if (message.roomId) {
        socket.to(message.roomId).emit('chat message', message);
      } else {
        socket.broadcast.emit('chat message', message);
      }
      return { success: true, messageId: message.id };
    }));
    socket.on('private message', answered(async (data) => {
      const { to, content } = validate(data);
      const message = { id: ++ids, from: socket.userId, to, content, type: 'private' };
      await saveMessage(message);
      const targetSocket = findUserSocket(to);
      if (!targetSocket) {
        return { success: false, error: 'not online' };
      }
      targetSocket.emit('private message', message);
      return { success: true, messageId: message.id };
    }));
    socket.on('create room', answered(async (data) => {
      const created = roomManager.createRoom(data.roomId, { name: data.roomName, createdBy: socket.userId });
      return { success: created, roomId: created ? data.roomId : null };
    }));
    socket.on('join room', answered(async (data) => ({ success: await roomManager.joinRoom(socket, data.roomId, data.password), roomId: data.roomId })));
    socket.on('leave room', answered(async (roomId) => ({ success: await roomManager.leaveRoom(socket, roomId), roomId })));
    socket.on('get rooms', (callback: any) => {
      const rooms = roomManager.getRoomList();
      if (callback) {
        callback({ success: true, rooms });
      }
    });
    socket.on('get online users', (callback: any) => {
      const users = [...io.sockets.sockets].map(([socketId, one]: [string, any]) => ({ id: one.userId, username: one.username, socketId }));
      if (callback) {
        callback({ success: true, users });
      }
    });
    socket.on('disconnect', async () => {
      await roomManager.leaveAllRooms(socket);
      socket.broadcast.emit('user offline', { userId: socket.userId, username: socket.username });
    });
    socket.on('error', () => undefined);
  });
}
