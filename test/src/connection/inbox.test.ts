import { expect } from 'chai';
import fc from 'fast-check';
import { Inbox, InboxBudget } from '../../../src/connection/inbox.ts';
import { Message } from '../../../src/protocol.ts';

function owner(budget: InboxBudget) {
  const made: { inbox: Inbox | undefined } = { inbox: undefined };
  made.inbox = new Inbox(made, budget);
  return made as { readonly inbox: Inbox };
}

describe('an inbox', () => {
  it('returns parsed messages and raw frames in the order of arrival', () => {
    const { inbox } = owner(new InboxBudget());
    inbox.pushFrame(Buffer.from('b'), false);
    inbox.pushFrame(Buffer.from('c'), true);
    inbox.unshiftFrame(Buffer.from('a'), false);
    inbox.pushMessage(new Message({ type: 'first' }), 5);

    expect(inbox.shiftMessage()?.type).to.equal('first');
    expect([inbox.shiftFrame(), inbox.shiftFrame(), inbox.shiftFrame()].map((frame) => frame && [String(frame[0]), frame[1]]))
      .to.deep.equal([['a', false], ['b', false], ['c', true]]);
    expect([inbox.shiftMessage(), inbox.shiftFrame(), inbox.isEmpty]).to.deep.equal([undefined, undefined, true]);
  });

  it('is full at a number of parsed messages, or at 64 KiB of them', () => {
    const { inbox: many } = owner(new InboxBudget());
    const { inbox: large } = owner(new InboxBudget());
    many.pushMessage(new Message({ type: 'a' }), 1);
    many.pushMessage(new Message({ type: 'a' }), 1);
    large.pushMessage(new Message({ type: 'a' }), 65_536);

    expect([many.isFull(3), many.isFull(2), large.isFull(3)]).to.deep.equal([false, true, true]);
  });

  it('counts the same bytes in all inboxes of a budget as their sum, whatever happens', () => {
    const action = fc.oneof(fc.constantFrom('shiftMessage', 'shiftFrame', 'clear'), fc.nat(1_000));
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(2), action)), (actions) => {
      const budget = new InboxBudget();
      const owners = [owner(budget), owner(budget), owner(budget)] as const;

      for (const [index, what] of actions) {
        const { inbox } = owners[index]!;
        if (typeof what === 'string') inbox[what as 'clear']();
        else if (what % 2) inbox.pushFrame(Buffer.alloc(what), false);
        else inbox.pushMessage(new Message({ type: 'a' }), what);
      }

      const sizes = owners.map(({ inbox }) => inbox.bytes);
      expect(budget.bytes).to.equal(sizes.reduce((sum, bytes) => sum + bytes, 0));
      expect(budget.largest?.inbox?.bytes ?? 0).to.equal(Math.max(...sizes));
      expect(owners.map(({ inbox }) => inbox.bytes > 0)).to.deep.equal(owners.map(({ inbox }) => !inbox.isEmpty));
    }));
  });

  it('counts empty messages, too', () => {
    const budget = new InboxBudget();
    const { inbox } = owner(budget);

    for (let count = 0; count < 1_000; count++) inbox.pushFrame(Buffer.alloc(0), false);

    expect(budget.bytes).to.be.at.least(100_000);
  });
});
