import { expect } from 'chai';
import { beside, bodyOf, expectOurs, serverOf } from './beside.ts';

// Next with its native compiler is larger than all other packages here together, so its part is played: a custom server
// hands every upgrade on to Next, whose router finds the catch-all page for each path, and ends the socket with it.
describe('beside a server whose upgrades all reach a catch-all page, as in Next', () => {
  it('serves our path, and leaves every other path to the page', async () => {
    const server = serverOf((_request, response) => { response.end('page'); });
    server.on('upgrade', (_request, socket) => {
      socket.on('error', () => { /* the client has gone */ });
      socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\npage');
    });
    const both = await beside(server);

    await expectOurs(both);

    expect(await both.status('/anything')).to.equal(200);
    expect(await bodyOf(`${both.http}/anything`)).to.equal('page');
  });
});
