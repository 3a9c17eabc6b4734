import { expect } from 'chai';
import { ModuleError } from '../../../index.ts';
import type { RoomsOptions } from '../../../plugins/rooms.ts';
import type { Client } from '../../support/client.ts';
import { eventually } from '../../support/timing.ts';
import { codeOf, metrics, typists, watched } from './lab.ts';

async function chat(roomsOptions?: RoomsOptions) {
  const started = await watched({}, {}, roomsOptions);
  await started.create('lobby');
  const [anna, phone, ben] = [await started.as('anna', 'lobby'), await started.as('anna', 'lobby'), await started.as('ben', 'lobby')];
  const types = (client: Client, isTyping = true) => client.request({ type: 'typing', roomId: 'lobby', isTyping, ack: true });
  return { ...started, anna, phone, ben, types };
}

describe('typing, where a member may not send', () => {
  for (const [kind, answer] of [['a boolean', (value: boolean) => value], ['a promise', (value: boolean) => Promise.resolve(value)]] as const) {
    it(`is refused by the canSend of the rooms, which gives ${kind}`, async () => {
      const asked: unknown[] = [];
      const { anna, ben, types } = await chat({
        canSend({ userId, content, connection, room }, standard) {
          asked.push([userId, content, connection !== undefined, room.id, standard()]);
          return answer(userId !== 'anna');
        },
      });

      const replies = [await types(anna), await types(ben)];

      expect(replies.map(({ type, content }) => (content as { code?: string } | undefined)?.code ?? type)).to.deep.equal(['FORBIDDEN', 'ack']);
      expect(asked.slice(0, 2)).to.deep.equal([['anna', '', true, 'lobby', true], ['ben', '', true, 'lobby', true]]);
      expect(await typists(anna)).to.deep.equal(['ben…']);
      expect(await typists(ben)).to.deep.equal([]);
    });
  }

  it('is refused with the code that canSend throws', async () => {
    const { anna, types } = await chat({ canSend: () => { throw new ModuleError('TOO_YOUNG'); } });

    const reply = await types(anna);

    expect(codeOf(reply)).to.equal('TOO_YOUNG');
  });

  it('ends within a round when the member is muted', async () => {
    const { manager, anna, ben, types, round } = await chat();
    await types(anna);

    await manager.api('rooms').mute('lobby', 'anna', 60_000);
    await round();

    expect(await typists(ben)).to.deep.equal(['anna…', 'anna.']);
  });

  it('ends within a round when the member becomes a guest', async () => {
    const { manager, anna, ben, types, round } = await chat();
    await types(anna);

    await manager.api('rooms').setRole('lobby', 'anna', 'guest');
    await round();

    expect(await typists(ben)).to.deep.equal(['anna…', 'anna.']);
  });

  it('ends within a round when canSend resolves to false', async () => {
    let may = true;
    const { anna, ben, types, round } = await chat({ canSend: async () => may });
    await types(anna);

    await round();
    const during = await typists(ben);
    may = false;
    await round();

    expect(during).to.deep.equal(['anna…']);
    expect(await typists(ben)).to.deep.equal(['anna…', 'anna.']);
  });

  it('ends within a round when the member leaves the room with the connection that typed', async () => {
    const { anna, phone, ben, types, leave, round } = await chat();
    await types(phone);
    await types(anna);

    await leave(anna, 'lobby');
    await round();

    expect(await typists(ben)).to.deep.equal(['anna…', 'anna.']);
    await types(phone);
  });

  it('goes on when the member leaves the room with another connection', async () => {
    const { anna, phone, ben, types, leave, round } = await chat();
    await types(anna);

    await leave(phone, 'lobby');
    await round();

    expect(await typists(ben)).to.deep.equal(['anna…']);
  });

  it('does not begin when the member left the room while canSend ran', async () => {
    let allow: ((may: boolean) => void) | undefined;
    const { manager, anna, types, leave } = await chat({ canSend: () => new Promise((resolve) => (allow = resolve)) });

    const reply = types(anna);
    await eventually('canSend to be asked', () => allow !== undefined);
    await leave(anna, 'lobby');
    allow!(true);

    expect(codeOf(await reply)).to.equal('NOT_IN_ROOM');
    expect(metrics(manager)['presence_typing']).to.equal(0);
  });
});
