import { expect } from 'chai';
import { ModuleError, type MessageLayer } from '../../src/index.ts';
import { io } from '../../plugins/events.ts';
import { namespaces } from '../../plugins/namespaces.ts';
import { start } from '../support/start.ts';

/** Refuses transfers of more than 100, by a field of the payload. */
const guard: MessageLayer = {
  type: 'message',
  name: 'guard',
  handler(message, _, next) {
    if (message.type === 'transfer' && message.payload.amount > 100) throw new ModuleError('GUARDED');
    return next();
  },
};

const list = (...args: unknown[]) => ({ content: args, meta: { args: args.length } });

/** A client of sockets that listen to `transfer`, in the main namespace and in another one, and what they heard. */
async function bank(layers: readonly MessageLayer[], inNamespace: readonly MessageLayer[] = []) {
  const { manager, connect } = await start({ use: [namespaces(), ...layers] });
  const server = io(manager);
  const heard: unknown[][] = [];
  const listen = (socket: { on: (event: string, listener: (...args: any[]) => void) => unknown }): void => {
    socket.on('transfer', (...args) => {
      const acknowledge = args.pop() as () => void;
      heard.push(args);
      acknowledge();
    });
  };
  server.on('connection', listen);
  server.of('/bank').on('connection', listen);
  await manager.ready();
  for (const layer of inNamespace) manager.of('/bank').use(layer);
  const client = await connect();
  await client.request({ type: 'connect', namespace: '/bank' });
  const transfer = async (message: object) => {
    const { type, content } = await client.request({ type: 'transfer', ack: true, ...message });
    return type === 'error' ? content.code as string : 'passed';
  };
  return { heard, transfer };
}

describe('HOSTILE 37: further arguments of an event', () => {
  const attacks: readonly (readonly [string, object])[] = [
    ['a second argument', list({ amount: 1e6 }, 0)],
    ['a second record', list({ amount: 1e6 }, { note: 'x' })],
    ['a second record without fields', list({ amount: 1e6 }, {})],
    ['null before it', list(null, { amount: 1e6 })],
    ['many arguments', list({ amount: 1e6 }, ...Array<number>(998).fill(0))],
    ['fields named like those of a list', list({ amount: 1e6, length: 3, 0: 'a', 7: 'b', map: 1, constructor: 2 }, 1)],
  ];
  for (const [place, fields] of [['the main namespace', {}], ['a namespace', { namespace: '/bank' }]] as const) {
    for (const [name, attack] of attacks) {
      it(`HOSTILE 37: do not pass a guard of a field by ${name}, in ${place}`, async () => {
        const { heard, transfer } = await bank([guard]);

        expect(await transfer({ ...attack, ...fields })).to.equal('GUARDED');
        expect(heard).to.deep.equal([]);
      });
    }

    it(`HOSTILE 37: are rejected if two of them have the field that a guard reads, in ${place}`, async () => {
      const { heard, transfer } = await bank([guard]);

      expect(await transfer({ ...list({ amount: 1e6 }, { amount: 1 }), ...fields })).to.equal('INVALID_MESSAGE');
      expect(heard).to.deep.equal([]);
    });
  }

  it('HOSTILE 37: do not pass a guard of a namespace alone', async () => {
    const { heard, transfer } = await bank([], [guard]);

    expect(await transfer({ ...list({ amount: 1e6 }, 0), namespace: '/bank' })).to.equal('GUARDED');
    expect(await transfer({ ...list({ amount: 5 }, 0), namespace: '/bank' })).to.equal('passed');
    expect(heard).to.deep.equal([[{ amount: 5 }, 0]]);
  });

  it('reach listeners as they were sent, with changes of layers to their fields', async () => {
    const halve: MessageLayer = {
      type: 'message', name: 'halve', handler(message, _, next) {
        if (message.type === 'transfer') message.payload.amount /= 2;
        return next();
      },
    };
    const { heard, transfer } = await bank([guard, halve]);

    expect(await transfer(list({ amount: 50 }, { note: 'x' }, ['y']))).to.equal('passed');

    expect(heard).to.deep.equal([[{ amount: 25 }, { note: 'x' }, ['y']]]);
  });

  it('are a list for layers, with the items, length and JSON that were sent', async () => {
    const seen: unknown[] = [];
    const { transfer } = await bank([{
      type: 'message', name: 'look', handler({ type, payload }, _, next) {
        if (type === 'transfer') seen.push(Array.isArray(payload), payload.length, payload[1], Object.keys(payload), JSON.stringify(payload));
        return next();
      },
    }]);

    await transfer(list({ length: 9, 1: 'z', amount: 2 }, 'b'));

    expect(seen).to.deep.equal([true, 2, 'b', ['0', '1'], '[{"1":"z","length":9,"amount":2},"b"]']);
  });
});
