import { expect } from 'chai';
import { events } from '../../../plugins/events.ts';
import { EventRouter, namespaces, type EventFilter } from '../../../plugins/namespaces.ts';
import { validation } from '../../../middleware/validation.ts';
import type { MessageLayer } from '../../../index.ts';
import { start } from '../../support/start.ts';

const said = 'free & money';
const escaped = 'free &amp; money';

/** A server that sanitizes, with a namespace that has a handler, a route and sockets; what each of them read. */
async function sanitizing() {
  const read: Record<string, unknown> = {};
  const keep = (name: string, handler: (value: any) => unknown = () => undefined) => (value: unknown) => {
    read[name] = value;
    return handler(value);
  };
  const router = new EventRouter();
  router.route('/chat', 'routed', (_, data) => keep('route')(data));
  const condition: EventFilter['condition'] = (_, { data }) => Boolean(keep('filter', () => true)(data));
  router.addFilters([{ name: 'words', action: 'reject', condition }]);
  const started = await start({ use: [namespaces({ router }), events(), validation({ enableSanitization: true })] });
  const chat = started.manager.of('/chat');
  const layer: MessageLayer = {
    type: 'message',
    handler(message, _, next) {
      keep('namespace layer')(message.payload);
      return next();
    },
  };
  chat.use(layer);
  chat.admit((_, credentials) => void keep('check')(credentials));
  chat.registerHandler('handled', ({ payload }) => keep('handler')(payload));
  chat.registerHandler('raw', ({ payload }) => keep('raw handler')(payload), { raw: true });
  const { io } = started.manager;
  for (const [name, entrance] of [['main', io], ['sockets', io.of('/sockets')]] as const) {
    entrance.on('connection', (socket) => {
      keep(`${name} auth`)(socket.handshake.auth);
      socket.use(([, text], next) => {
        keep(`${name} layer`)(text);
        next();
      });
      socket.on('x', (...args: unknown[]) => {
        (args.pop() as () => void)();
        keep(`${name} listener`)(args);
      });
      socket.onAny((_, ...args: unknown[]) => {
        keep(`${name} catch-all`)(args.slice(0, -1));
      });
    });
  }
  return { ...started, read };
}

describe('sanitizing in namespaces and events', () => {
  it('escapes the payload just before a handler, and after all layers and filters', async () => {
    const { connect, read } = await sanitizing();
    const client = await connect();
    await client.request({ type: 'connect', namespace: '/chat', content: { nickname: said } });

    for (const type of ['handled', 'raw', 'routed']) {
      await client.request({ type, namespace: '/chat', content: said, ack: true });
    }

    expect(read).to.include({
      'namespace layer': said, filter: said, 'raw handler': said, handler: escaped, route: escaped,
    });
    expect(read['check']).to.deep.equal({ nickname: said });
  });

  it('escapes the arguments of an event just before the listeners, and neither layers nor credentials', async () => {
    const { connect, read } = await sanitizing();
    const client = await connect({ search: `?name=${encodeURIComponent(said)}` });
    await client.request({ type: 'connect', namespace: '/sockets', content: { name: said } });

    const content = [said, { text: said, userId: said }];
    for (const namespace of ['/', '/sockets']) {
      await client.request({ type: 'x', namespace, content, meta: { args: 2 }, ack: true });
    }

    const args = [escaped, { text: escaped, userId: said }];
    for (const name of ['main', 'sockets']) {
      expect(read[`${name} auth`]).to.deep.equal({ name: said });
      expect(read[`${name} layer`]).to.equal(said);
      expect([read[`${name} listener`], read[`${name} catch-all`]]).to.deep.equal([args, args]);
    }
  });
});
