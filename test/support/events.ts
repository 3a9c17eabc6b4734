import { events, type EventsOptions, type Server, type Socket } from '../../plugins/events.ts';
import { namespaces } from '../../plugins/namespaces.ts';
import type { Client, ConnectOptions } from './client.ts';
import { start, type StartOptions, type Started } from './start.ts';

export interface Served extends Started { readonly io: Server }

/** A server of sockets. */
export async function serve(options: EventsOptions = {}, more: StartOptions = {}): Promise<Served> {
  const started = await start({ ...more, use: [...(more.use ?? []), namespaces(), events(options)] });
  return { ...started, io: started.manager.io };
}

export interface Joined { readonly client: Client; readonly socket: Socket }

/** A client in the main namespace, and its socket. */
export async function join({ io, connect }: Pick<Served, 'io' | 'connect'>, options?: ConnectOptions & { search?: string }): Promise<Joined> {
  const came = new Promise<Socket>((resolve) => io.once('connection', (socket) => resolve(socket)));
  const client = await connect(options);
  return { client, socket: await came };
}

/** What was told by the `error` event. */
export function errorsOf({ manager }: Pick<Started, 'manager'>): Error[] {
  const errors: Error[] = [];
  manager.on('error', (error) => errors.push(error));
  return errors;
}

/** Answers what the server asks a client: its next event of this name. */
export async function acknowledge(client: Client, event: string, fields: object): Promise<void> {
  const { id } = await client.next(event);
  await client.send({ type: 'ack', replyTo: id, ...fields });
}
