import { expect } from 'chai';
import { Message } from '../../../index.ts';
import { Payload } from '../../../plugins/rooms/payload.ts';

const payload = (fields: object): Payload => new Payload(new Message({ type: 'join-room', ...fields }));

describe('the payload of a message about a room', () => {
  it('names the room in one of several ways', () => {
    const ways = [
      { roomId: 'lobby' }, { content: { roomId: 'lobby' } }, { data: { roomId: 'lobby' } }, { content: 'lobby' },
      { room: 'lobby' }, { content: { room: 'lobby' } },
      { roomId: 'lobby', content: 'hello' }, { room: 'lobby', content: 'hello' }, { roomId: 'lobby', room: 'den' }, { roomId: 'lobby', content: { room: 'den' } },
      { roomId: 'lobby', content: { roomId: 'den' } }, { room: 'lobby', content: { roomId: 'den' } }, { roomId: null, content: { roomId: 'lobby' } },
      { roomId: 'lobby', content: { roomId: null } }, { content: { roomId: 'lobby', room: 'den' } },
    ];

    expect(ways.map((way) => payload(way).roomId)).to.deep.equal(ways.map(() => 'lobby'));
  });

  it('names no room by what every object has, nor by what is no text', () => {
    for (const way of [{}, { content: {} }, { room: null }, { room: 5 }, { roomId: ['lobby'] }, { room: '' }, { room: 'x'.repeat(129) }]) {
      expect(() => payload(way).roomId, JSON.stringify(way)).to.throw().with.property('code', 'VALIDATION_FAILED');
    }
    expect(payload({}).has('constructor')).to.be.false;
  });
});
