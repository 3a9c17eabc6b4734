import { expect } from 'chai';
import { packed } from '../../support/packed.ts';
import { both, snippet } from '../../support/snippets.ts';
import { listen, serve, sockets, told } from './around.ts';

// The monitor's five seconds are fifty milliseconds here.
const around = `${sockets}
const express = require('express');
const app = express();
server.on('request', app);
const setInterval = (work, milliseconds) => globalThis.setInterval(work, milliseconds / 100);
`;
// After the monitor, whose own methods take the place of the socket's.
const application = `
io.use((socket, next) => next(socket.handshake.auth.as ? undefined : new Error('unknown')));
io.on('connection', (socket) => {
  socket.join('lobby');
  socket.on('say', (text) => { socket.emit('said', text); });
  socket.on('fail', () => { throw new Error('of the handler'); });
});
${listen}`;

describe('a monitor written for Socket.IO, by require and by import', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('counts connections, events, rooms and failures', async () => both(async (form) => {
    const { connect, http, until } = await serve(form, snippet('4-10-monitor'), around, application);
    const ann = await connect({ search: '?as=ann' });
    const bob = await connect({ search: '?as=bob' });
    await told(await connect(), 'error');
    void ann.send({ type: 'say', content: 'hello' });
    await told(ann, 'said');
    void ann.send({ type: 'fail' });
    await until(/事件处理错误 \[fail\]: Error: of the handler/);
    await bob.close();
    // The monitor counts rooms and rates at an interval.
    const seen = await poll<Record<string, any>>(
      `${http}/stats`, ({ rooms, connections }) => rooms.active === 2 && connections.active === 1,
    );

    expect(seen['connections']).to.deep.equal({ total: 2, active: 1, peak: 2 });
    expect(seen['messages']).to.deep.include({ sent: 1, received: 2 });
    // Its own, and the lobby.
    expect(seen['rooms']).to.deep.equal({ total: 2, active: 2 });
    expect(seen['errors']).to.deep.include({ connection: 0, message: 1 });
    expect(seen['memory'].heapUsed).to.be.above(1_000_000);
  }));

  it('serves health and Prometheus\'s text', async () => both(async (form) => {
    const { connect, http } = await serve(form, snippet('4-10-monitor'), around, application);
    const ann = await connect({ search: '?as=ann' });
    void ann.send({ type: 'say', content: 'hello' });
    await told(ann, 'said');

    const health = await (await fetch(`${http}/health`)).json() as Record<string, any>;
    const metrics = await fetch(`${http}/metrics`);

    // A heap that has just been begun is often nearly full.
    expect(health['status']).to.be.oneOf(['healthy', 'unhealthy']);
    expect(health['metrics'].connections.total).to.equal(1);
    expect(metrics.headers.get('content-type')).to.match(/^text\/plain/);
    expect(await metrics.text()).to.include('socketio_connections_active 1\n').and.to.include(
      'socketio_auth_errors_total 0',
    );
  }));
});

/** Fetches a value until it is as it should be. */
async function poll<T>(url: string, isDone: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await (await fetch(url)).json() as T;
    if (isDone(value)) return value;
  }
}
