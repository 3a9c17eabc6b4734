import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { WebSocketModule } from '../../index.ts';
import { cleanup } from '../support/cleanup.ts';
import { echoServer } from '../support/echo-server.ts';
import { kernelProcess } from '../support/lab.ts';
import { type Address, acceptOf, handshake, raw, rawWebSocket } from '../support/raw.ts';
import { eventually, timed } from '../support/timing.ts';
import { allLayers } from './all-layers.ts';
import { type Attack, attacks } from './handshake-attacks.ts';

interface Outcome { readonly status: number | 'dropped'; readonly milliseconds: number; readonly head: string }

async function attack(address: Address, { bytes }: Attack): Promise<Outcome> {
  const client = await raw(address);
  const start = performance.now();
  await client.write(bytes(address));
  const answer = await client.answer(3_000);
  const milliseconds = performance.now() - start;
  client.reset();
  return { status: answer?.status ?? 'dropped', milliseconds, head: answer?.head ?? '' };
}

/** Runs the table, and gives a line for each answer that is wrong, late, or no answer. */
async function run(address: Address, table: readonly Attack[], limit: number): Promise<string[]> {
  const failures: string[] = [];
  for (const one of table) {
    try {
      const { status, milliseconds: first } = await attack(address, one);
      // The machine pauses now and then; a server that is slow is slow again.
      let milliseconds = first;
      for (let again = 0; again < 5 && milliseconds > limit; again++) {
        await delay(50 * 2 ** again);
        milliseconds = Math.min(milliseconds, (await attack(address, one)).milliseconds);
      }
      if (!one.answers.includes(status)) failures.push(`${one.name}: ${status}, expected ${one.answers.join(' or ')}`);
      if (milliseconds > limit) failures.push(`${one.name}: answered after ${Math.round(milliseconds)} ms`);
    } catch (error) {
      failures.push(`${one.name}: ${(error as Error).message}`);
    }
  }
  return failures;
}

/** 100 ms, or on a machine that is busy, fifty honest handshakes. */
async function patience(address: Address): Promise<number> {
  let honest = Infinity;
  for (let run = 0; run < 5; run++) honest = Math.min(honest, await timed(async () => (await rawWebSocket(address)).reset()));
  return Math.max(100, 50 * honest);
}

describe('HOSTILE 3: attacks on the handshake', () => {
  it('HOSTILE 3: has at least 20 of them', () => {
    expect(attacks).to.have.lengthOf.at.least(20);
  });

  it('HOSTILE 3: answers each with 101 or 4xx, and within 100 ms', async () => {
    const server = await echoServer();

    const failures = await run(server, attacks, await patience(server));

    expect(failures).to.deep.equal([]);
    await eventually('no connection', () => server.count() === 0 || server.count());
    expect(server.errors).to.deep.equal([]);
  });

  it('HOSTILE 3: answers each as well on a server of its own', async () => {
    const manager = WebSocketModule.create({ port: 0, host: '127.0.0.1' });
    cleanup(() => manager.stop());
    await manager.start();
    const address = { port: (manager.address() as AddressInfo).port };

    const failures = await run(address, attacks, await patience(address));

    expect(failures).to.deep.equal([]);
  });

  it('HOSTILE 3: answers a key with exactly the accept value of RFC 6455', async () => {
    const server = await echoServer();
    const client = await rawWebSocket(server, { headers: { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' } });

    expect(client.response!.headers).to.deep.equal({
      'upgrade': 'websocket', 'connection': 'Upgrade', 'sec-websocket-accept': acceptOf('dGhlIHNhbXBsZSBub25jZQ=='),
    });
  });

  it('HOSTILE 3: accepts the client without an extension that it cannot negotiate (RFC 7692 5)', async () => {
    const server = await echoServer({ use: await allLayers() });
    const client = await raw(server);

    await client.write(handshake(server, { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate; server_max_window_bits=10' } }));

    expect(await client.answer()).to.include({ status: 101 });
  });

  it('HOSTILE 3: lets a refused client read its answer, and then closes', async () => {
    const server = await echoServer();
    const client = await raw(server);

    await client.write(handshake({ ...server, path: '/nowhere' }));

    await client.end();
    expect(client.response).to.include({ status: 404 });
    expect(client.response!.headers).to.include({ connection: 'close' });
  });

  it('HOSTILE 3: leaves other paths to other listeners', async () => {
    const server = await echoServer();
    server.server.on('upgrade', (request, socket) => {
      if (request.url === '/others') socket.end('HTTP/1.1 418 Theirs\r\n\r\n');
    });
    const client = await raw(server);

    await client.write(handshake({ ...server, path: '/others' }));

    await client.end();
    expect(client.response!.status).to.equal(418);
  });

  it('HOSTILE 3: answers plain requests of the same server while upgrades are attacked', async () => {
    const server = await echoServer({ onRequest: (_request, response) => { response.end('page'); } });
    await run(server, attacks.slice(0, 20), Infinity);

    const response = await fetch(`http://127.0.0.1:${server.port}/`);

    expect(await response.text()).to.equal('page');
  });

  for (const [name, path, others] of [
    ['an unknown path', '/nowhere', false], ['a path of others who never answer', '/forgotten', true], ['its own path', '/ws', false],
  ] as const) {
    it(`HOSTILE 3: survives clients that ask for ${name}, and reset at once`, async () => {
      const kernel = await kernelProcess({ handshakeTimeout: 1_000 }, [], others);
      const address = { port: kernel.port };

      for (let round = 0; round < 50; round++) {
        const client = await raw(address);
        client.socket.write(handshake({ ...address, path }));
        client.reset();
      }

      (await rawWebSocket(address)).reset();
      await eventually('no connection', async () => await kernel.call('count') === 0);
      expect(await kernel.call('failures')).to.deep.equal([]);
    });
  }

  it('HOSTILE 3: survives clients that disconnect before they are answered', async () => {
    const server = await echoServer({ use: [{ type: 'upgrade', name: 'slow', handler: () => new Promise<void>((resolve) => setImmediate(resolve)) }] });
    const clients = await Promise.all(Array.from({ length: 50 }, () => raw(server)));

    await Promise.all(clients.map(async (client, index) => {
      await client.write(handshake(server));
      if (index % 2 === 0) client.reset();
      else client.socket.end();
      await once(client.socket, 'close');
    }));

    await eventually('no connection', () => server.count() === 0 || server.count());
    (await rawWebSocket(server)).reset();
  });
});
