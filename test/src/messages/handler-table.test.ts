import { expect } from 'chai';
import type { Connection } from '../../../src/contracts.ts';
import { HandlerTable } from '../../../src/messages/handler-table.ts';
import { Message } from '../../../src/protocol.ts';

const connection = {} as Connection;
const handler = (name: string) => () => name;
const answer = (table: HandlerTable, type: string, more = {}): unknown => {
  const message = new Message({ type, ...more });
  const route = table.find(message, connection);
  return route && [route.type, route.handler(message, connection)];
};

describe('the handler table', () => {
  it('finds a handler by every spelling of its type, and returns the registered spelling', () => {
    const table = new HandlerTable();
    table.add('join_room', handler('join'), 'me');

    for (const type of ['join_room', 'join-room', 'join room']) expect(answer(table, type)).to.deep.equal(['join_room', 'join']);
    expect(table.types()).to.deep.equal(['join_room']);
  });

  it('rejects a second handler of a type, and names the owner of the first', () => {
    const table = new HandlerTable();
    table.add('one', handler('a'), 'the first');

    expect(() => table.add('one', handler('b'), 'me')).to.throw('handler "one" is already provided by "the first"').with.property('code', 'DUPLICATE');
  });

  it('prefers a handler that does not yield, whichever was added first', () => {
    const table = new HandlerTable();
    table.add('text', handler('built in'), 'text', { yields: true });

    const undo = table.add('text', handler('own'), 'application');
    const during = answer(table, 'text');
    undo();

    expect(during).to.deep.equal(['text', 'own']);
    expect(answer(table, 'text')).to.deep.equal(['text', 'built in']);
  });

  it('tries routes before handlers, and routes that yield before handlers that yield', () => {
    const table = new HandlerTable();
    const to = (name: string) => (message: Message) => (message.namespace === name ? { type: `${name}!`, handler: handler(name) } : undefined);
    table.add('firm', handler('firm'), 'me');
    table.add('soft', handler('soft'), 'me', { yields: true });
    table.add('*', handler('any'), 'me');
    table.route(to('first'), 'namespaces');
    table.route(to('late'), 'events', { yields: true });

    expect(answer(table, 'firm', { namespace: 'first' })).to.deep.equal(['first!', 'first']);
    expect(answer(table, 'firm', { namespace: 'late' })).to.deep.equal(['firm', 'firm']);
    expect(answer(table, 'soft', { namespace: 'late' })).to.deep.equal(['late!', 'late']);
    expect(answer(table, 'soft')).to.deep.equal(['soft', 'soft']);
    expect(answer(table, 'other')).to.deep.equal(['*', 'any']);
  });

  it('removes nothing of another owner when an undo is called twice', () => {
    const table = new HandlerTable();
    const undo = table.add('one', handler('first'), 'me');
    undo();
    table.add('one', handler('second'), 'another');

    undo();

    expect(answer(table, 'one')).to.deep.equal(['one', 'second']);
  });

  it('lists its handlers with their owners', () => {
    const table = new HandlerTable();
    table.add('one', handler('a'), 'me');
    table.route(() => undefined, 'events');

    expect(table.inventory()).to.deep.equal([{ owner: 'me', label: 'handler one' }, { owner: 'events', label: 'route' }]);
  });

  it('finds names of Object.prototype only if they were added', () => {
    const table = new HandlerTable();

    for (const type of ['constructor', '__proto__', 'toString']) expect(answer(table, type)).to.equal(undefined);
  });
});
