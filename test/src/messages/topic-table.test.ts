import { expect } from 'chai';
import fc from 'fast-check';
import type { ClientConnection } from '../../../src/connection/connection.ts';
import { APPLICATION, TopicTable } from '../../../src/messages/topic-table.ts';

const connection = () => ({ topics: undefined }) as unknown as ClientConnection;

function table(max = 10) {
  const events: string[] = [];
  return { events, topics: new TopicTable(max, (topic) => events.push(`open ${topic}`), (topic) => events.push(`close ${topic}`)) };
}

describe('the topic table', () => {
  it('reports the first subscriber of a topic, and the end of the last one', () => {
    const { topics, events } = table();
    const [ann, ben] = [connection(), connection()];

    topics.subscribe(ann, 'news', 'rooms');
    topics.subscribe(ben, 'news', 'rooms');
    topics.unsubscribe(ann, 'news', 'rooms');
    topics.remove(ben);

    expect(events).to.deep.equal(['open news', 'close news']);
    expect(topics.size).to.equal(0);
  });

  it('keeps a subscription while one of its owners holds it', () => {
    const { topics } = table();
    const ann = connection();
    topics.subscribe(ann, 'news', 'rooms');
    topics.subscribe(ann, 'news', 'events');

    topics.unsubscribe(ann, 'news', 'rooms');
    const afterOne = topics.subscribers('news').size;
    topics.unsubscribe(ann, 'news', 'events');

    expect([afterOne, topics.subscribers('news').size]).to.deep.equal([1, 0]);
  });

  it('ends the subscriptions of all owners when the application unsubscribes', () => {
    const { topics } = table();
    const ann = connection();
    topics.subscribe(ann, 'news', 'rooms');
    topics.subscribe(ann, 'news', 'events');

    topics.unsubscribe(ann, 'news', APPLICATION);

    expect(topics.size).to.equal(0);
  });

  it('limits the topics of a connection, except those of the kernel', () => {
    const { topics } = table(2);
    const ann = connection();
    topics.subscribe(ann, 'a', 'rooms');
    topics.subscribe(ann, 'b', 'rooms');

    expect(() => topics.subscribe(ann, 'c', 'rooms')).to.throw('2 topics').with.property('code', 'TOO_MANY_TOPICS');
    expect(() => topics.subscribe(ann, 'b', 'events')).to.not.throw();
    expect(() => topics.subscribe(ann, 'user:ann', 'the kernel')).to.not.throw();
    topics.unsubscribe(ann, 'a', 'rooms');
    topics.unsubscribe(ann, 'b', 'events');
    topics.unsubscribe(ann, 'b', 'rooms');
    expect(() => topics.subscribe(ann, 'd', 'rooms')).to.not.throw();
    expect([...ann.topics!]).to.have.members(['user:ann', 'd']);
  });

  it('behaves like a set of owners for each connection and topic', () => {
    const step = fc.record({
      what: fc.constantFrom('subscribe', 'unsubscribe', 'release', 'remove'), who: fc.nat(2), topic: fc.constantFrom('a', 'b'), owner: fc.constantFrom('x', 'y', 'z'),
    });
    fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { topics } = table();
      const connections = [connection(), connection(), connection()];
      const model = new Map<string, Set<string>>();

      for (const { what, who, topic, owner } of steps) {
        const key = `${who} ${topic}`;
        if (what === 'subscribe') {
          topics.subscribe(connections[who]!, topic, owner);
          model.set(key, (model.get(key) ?? new Set()).add(owner));
        } else if (what === 'unsubscribe') {
          topics.unsubscribe(connections[who]!, topic, owner);
          model.get(key)?.delete(owner);
        } else if (what === 'release') {
          topics.release(owner);
          for (const owners of model.values()) owners.delete(owner);
        } else {
          topics.remove(connections[who]!);
          for (const name of ['a', 'b']) model.delete(`${who} ${name}`);
        }
      }

      for (const topic of ['a', 'b']) {
        const expected = connections.filter((_, who) => (model.get(`${who} ${topic}`)?.size ?? 0) > 0);
        expect([...topics.subscribers(topic)]).to.have.members(expected);
        for (const one of connections) expect(one.topics?.has(topic) ?? false).to.equal(expected.includes(one));
      }
    }));
  });
});
