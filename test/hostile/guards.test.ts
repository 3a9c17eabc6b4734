import { expect } from 'chai';
import fc from 'fast-check';
import { ModuleError, type MessageLayer } from '../../src/index.ts';
import { events } from '../../plugins/events.ts';
import { EventRouter, namespaces } from '../../plugins/namespaces.ts';
import { connect as connectTo, type Client } from '../support/client.ts';
import { start } from '../support/start.ts';

/** The names under which each table registers its handlers. */
const NAMES = ['ban-user', 'ban_all', 'delete user', 'wipe-all_of it', 'plain'] as const;

/** What is in the message of each verdict: the target that a guard refuses, and another. */
type Target = 'staff' | 'public';

interface Verdict { readonly refused: boolean; readonly name?: string; readonly target?: unknown }

/** Every spelling of a type. */
const spellings = (type: string) => fc.array(fc.constantFrom('-', '_', ' '), { minLength: 4, maxLength: 4 })
  .map((separators) => type.split(/[-_ ]/).reduce((text, part, index) => `${text}${separators[index % 4]!}${part}`));

/** Every place of a field, and the value that counts where it stands twice: that beside the content. */
const places = (target: Target): readonly (readonly [fields: object, counts: Target])[] => [
  [{ target }, target],
  [{ content: { target } }, target],
  [{ data: { target } }, target],
  [{ target, content: { other: 1 } }, target],
  [{ target, content: 'text' }, target],
  [{ other: 1, content: { target } }, target],
  [{ target, content: { target: 'public' } }, target],
  [{ target: 'public', content: { target } }, 'public'],
  [{ target, data: { target: 'public' } }, target],
];

/** A layer of messages that refuses one name with one target. */
const guardOf = (name: string): MessageLayer => ({
  type: 'message',
  name: 'guard',
  handler(message, _, next) {
    if (message.type === name && message.payload.target === 'staff') throw new ModuleError('GUARDED');
    return next();
  },
});

type Kind = 'manager layer' | 'namespace.use' | 'router filter' | 'socket.use';
type Table = 'manager' | 'namespace' | 'router' | 'socket' | 'socket in a namespace';

/** Where each kind of guard stands. */
const guards: readonly (readonly [Kind, readonly Table[]])[] = [
  ['manager layer', ['manager', 'namespace', 'router', 'socket', 'socket in a namespace']],
  ['namespace.use', ['namespace', 'router', 'socket in a namespace']],
  ['router filter', ['router']],
  ['socket.use', ['socket', 'socket in a namespace']],
];

const namespaceOf = (table: Table) => (table === 'manager' || table === 'socket' ? {} : { namespace: '/chat' });

/** A client of a server whose handlers answer with the name and the target that they got, behind guards of one kind. */
async function guarded(kind: Kind, table: Table): Promise<Client> {
  const router = new EventRouter();
  const { manager, url } = await start({ use: [namespaces({ router }), events()] });
  const chat = manager.of('/chat');
  const answer = (name: string, data: any) => ({ name, target: data?.target });
  for (const name of NAMES) {
    if (table === 'manager') manager.registerHandler(name, ({ payload }) => answer(name, payload));
    if (table === 'namespace') chat.registerHandler(name, ({ payload }) => answer(name, payload));
    if (table === 'router') router.route('/chat', name, (_, data) => answer(name, data));
    if (kind === 'manager layer') manager.use(guardOf(name), { name: `guard of ${name}` });
    if (kind === 'namespace.use') chat.use(guardOf(name));
    if (kind === 'router filter') {
      router.addFilters([{
        name, action: 'reject', condition: (_, { type, data }) => !(type === name && data.target === 'staff'),
      }]);
    }
  }
  const { io } = manager;
  const sockets = table === 'socket' ? io : io.of(table === 'socket in a namespace' ? '/chat' : '/other');
  sockets.on('connection', (socket) => {
    for (const name of NAMES) socket.on(name, (data, acknowledge) => acknowledge(answer(name, data)));
    if (kind !== 'socket.use') return;
    socket.use(([event, data], next) => {
      const isGuarded = NAMES.includes(event as typeof NAMES[number]) && data.target === 'staff';
      next(isGuarded ? new ModuleError('GUARDED') : undefined);
    });
  });
  const client = await connectTo(url);
  if (table !== 'manager' && table !== 'socket') await client.request({ type: 'connect', namespace: '/chat' });
  return client;
}

async function verdict(client: Client, message: { type: string }): Promise<Verdict> {
  const { type, content } = await client.request(message);
  if (type !== 'error') return { refused: false, ...content };
  return { refused: ['GUARDED', 'EVENT_REJECTED'].includes(content.code as string) };
}

describe('HOSTILE 37: guards of namespaces and events', () => {
  for (const [kind, tables] of guards) {
    for (const table of tables) {
      it(`HOSTILE 37: a ${kind} decides alike for every spelling and every place of a field (${table})`, async () => {
        const client = await guarded(kind, table);
        const cases = fc.constantFrom(...NAMES).chain((name) => fc.record({
          name: fc.constant(name), type: spellings(name), target: fc.constantFrom<Target>('staff', 'public'),
        }));

        await fc.assert(fc.asyncProperty(cases, async ({ name, type, target }) => {
          for (const [fields, counts] of places(target)) {
            const message = { type, ack: true, ...namespaceOf(table), ...fields };

            const given = await verdict(client, message);

            const expected = counts === 'staff' ? { refused: true } : { refused: false, name, target: counts };
            expect(given, JSON.stringify(message)).to.deep.equal(expected);
          }
        }), { numRuns: 15 });
      });
    }
  }

  it('HOSTILE 37: arguments that hide a field from layers reach no listener', async () => {
    const client = await guarded('manager layer', 'socket');
    const hidden = [
      { content: [{ target: 'staff' }], meta: { args: 1 } },
      { target: 'public', content: [{ target: 'staff' }, 1], meta: { args: 2 } },
      { target: 'public', content: [{ target: 'staff' }], meta: { args: 1 } },
    ];

    for (const fields of hidden) {
      const { content } = await client.request({ type: 'ban_user', ack: true, ...fields });
      expect(content.code, JSON.stringify(fields)).to.equal('INVALID_MESSAGE');
    }
  });
});
