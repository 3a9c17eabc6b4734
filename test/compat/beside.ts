import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { WebSocketModule } from '../../index.ts';
import { cleanup } from '../support/cleanup.ts';
import { type Client, connect, type ConnectOptions, type Received, UpgradeRefused } from '../support/client.ts';
import { close, type Manager } from '../support/start.ts';

/** Another package, as it is installed. Untyped: what its types depend on is not this project's to check. */
export const load = (name: string): Promise<any> => import(name);

/** Longer than any of the others waits for an answer to an upgrade, as these tests set it. */
const SLOWER = 120;

export interface Beside {
  readonly server: Server;
  readonly manager: Manager;
  readonly http: string;
  readonly connect: (path: string, options?: ConnectOptions) => Promise<Client>;
  /** The status of a refusal, or 101. */
  readonly status: (path: string) => Promise<number>;
}

/** A manager on a server that others use, too, and that listens. Its one upgrade layer is slower than the others' patience. */
export async function beside(server: Server, attach = (): Manager => WebSocketModule.create({ server })): Promise<Beside> {
  const manager = attach();
  cleanup(() => close(server));
  cleanup(() => manager.stop());
  manager.use({ type: 'upgrade', name: 'slow', handler: () => new Promise<void>((resolve) => setTimeout(resolve, SLOWER)) });
  if (!server.listening) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  await manager.ready();
  const at = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const join = (path: string, options?: ConnectOptions) => connect(`ws://${at}${path}`, options);
  return {
    server, manager, http: `http://${at}`,
    connect: join,
    status: async (path) => {
      try {
        await (await join(path)).terminate();
        return 101;
      } catch (error) {
        if (error instanceof UpgradeRefused) return error.status;
        throw error;
      }
    },
  };
}

/** A server with a request listener of its own. */
export const serverOf = (listener: RequestListener): Server => createServer(listener);

/** Our side works, and no byte of the other listeners is on it. */
export async function expectOurs({ connect: join, manager }: Beside): Promise<Client> {
  const client = await join('/ws');
  const reply = await client.request({ type: 'ping' });
  const answered: Received[] = [...client.messages];

  expect(reply.type).to.equal('pong');
  expect(answered.filter(({ type }) => type === 'not-json')).to.deep.equal([]);
  expect(manager.connections.size).to.equal(1);
  return client;
}

export async function bodyOf(url: string): Promise<string> {
  return (await fetch(url, { headers: { connection: 'close' } })).text();
}
