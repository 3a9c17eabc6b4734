import type { ConnectionLayer, Usable } from '../../../index.ts';
import { namespaces, type NamespacesOptions } from '../../../plugins/namespaces.ts';
import type { Client, Received } from '../../support/client.ts';
import { start, type StartOptions } from '../../support/start.ts';

/** Says who a client is by its address: `?user=ann&roles=user,admin`. */
const byAddress: ConnectionLayer = {
  type: 'connection',
  name: 'by-address',
  handler(_, request) {
    const { searchParams } = new URL(request.url, 'ws://test');
    const id = searchParams.get('user');
    return id === null ? {} : { user: { id, roles: searchParams.get('roles')?.split(',') ?? [] } };
  },
};

/** A server with namespaces, whose clients say in their address who they are. */
export async function serve(options: NamespacesOptions = {}, { use = [], ...more }: StartOptions = {}) {
  const started = await start({ ...more, use: [byAddress, ...use, namespaces(options)] satisfies Usable[] });
  return { ...started, as: (user: string, roles = '') => started.connect({ search: `?user=${user}&roles=${roles}` }) };
}

export const enter = (client: Client, namespace: string, content: unknown = {}): Promise<Received> => client.request({ type: 'connect', namespace, content });

/** Enters, and fails where it is refused. */
export async function entered(client: Client, ...names: string[]): Promise<Client> {
  for (const name of names) {
    const { type, content } = await enter(client, name);
    if (type !== 'connected') throw new Error(`${name} refused: ${JSON.stringify(content)}`);
  }
  return client;
}

/** The code of an answer. */
export const code = async (answer: Promise<Received>): Promise<unknown> => (await answer).content?.code;

/** A promise to settle by hand. */
export function gate() {
  let open!: () => void;
  let fail!: (error: Error) => void;
  const opened = new Promise<void>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { opened, open, fail };
}
