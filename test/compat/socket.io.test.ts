import { expect } from 'chai';
import { Server as SocketServer } from 'socket.io';
import { io as client } from 'socket.io-client';
import { cleanup } from '../support/cleanup.ts';
import { beside, expectOurs, serverOf } from './beside.ts';

describe('beside Socket.IO', () => {
  for (const transports of [['websocket'], ['polling', 'websocket']]) {
    it(`serves our path with a slow upgrade layer, and leaves /socket.io/ to it (${transports.join(', then ')})`, async () => {
      const server = serverOf((_request, response) => { response.end('page'); });
      const io = new SocketServer(server, { destroyUpgradeTimeout: 20 });
      io.on('connection', (socket) => socket.on('echo', (text: string, answer: (text: string) => void) => answer(text)));
      const both = await beside(server);
      cleanup(() => { io.disconnectSockets(true); });

      const ours = await expectOurs(both);
      const theirs = client(both.http, { transports, reconnection: false });
      cleanup(() => { theirs.close(); });
      await new Promise<void>((resolve, reject) => { theirs.once('connect', resolve).once('connect_error', reject); });

      expect(await theirs.timeout(2_000).emitWithAck('echo', 'hello')).to.equal('hello');
      expect(ours.ws.readyState).to.equal(1);
      expect(await (await fetch(both.http)).text()).to.equal('page');
    });
  }
});
