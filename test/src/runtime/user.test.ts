import { expect } from 'chai';
import fc from 'fast-check';
import type { ModuleError, User } from '../../../src/index.ts';
import { newConnectionId } from '../../../src/runtime/ids.ts';
import { toUser } from '../../../src/runtime/user.ts';

const refusal = (value: unknown): ModuleError => {
  try {
    toUser(value, 'the user of layer "door"');
  } catch (error) {
    return error as ModuleError;
  }
  throw new Error('it was accepted');
};

/** As an ORM gives it: the fields are behind accessors, and its own properties are none of an application's business. */
class Row {
  readonly $state = 'saved';
  readonly #fields: Record<string, unknown>;
  constructor(fields: Record<string, unknown>) { this.#fields = fields; }
  get id(): unknown { return this.#fields.id; }
  toJSON(): unknown { return this.#fields; }
}

describe('toUser', () => {
  it('accepts a string of 1 to 255 units as an id, and keeps every claim', () => {
    for (const id of ['a', 'x'.repeat(255), '👍'.repeat(127), '0', '__proto__', 'constructor', ' ', 'a.b']) {
      expect(toUser({ id, roles: ['admin'], name: 'Ann', deep: { a: 1 } })).to.deep.equal({ id, roles: ['admin'], name: 'Ann', deep: { a: 1 } });
    }
  });

  it('converts numeric ids from a database to strings', () => {
    fc.assert(fc.property(fc.oneof(fc.maxSafeInteger(), fc.bigInt()), (id) => {
      expect(toUser({ id }).id).to.equal(String(id));
    }));
  });

  it('returns a user with a valid id, or rejects', () => {
    fc.assert(fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }), fc.anything(), (id, roles) => {
      let user: User;
      try {
        user = toUser({ id, roles });
      } catch (error) {
        expect(error).to.have.property('code', 'USER_INVALID');
        return;
      }
      expect(user.id).to.be.a('string').with.lengthOf.within(1, 255);
      expect(user.id).to.equal(String(id));
      expect(user.roles === undefined || user.roles.every((role) => typeof role === 'string')).to.be.true;
    }), { numRuns: 2_000 });
  });

  it('rejects a value that is not a user, and tells what it is and what it must be', () => {
    for (const [value, reason] of [
      ['ann', 'an object with an "id", but is the string "ann"'], [true, 'but is true'], [17, 'but is 17'], [null, 'but is null'], [['ann'], 'but is a list'],
      [() => 1, 'a function'], [{}, 'but is undefined'], [{ id: '' }, 'but has 0 characters'], [{ id: 'x'.repeat(256) }, 'but has 256 characters'],
      [{ id: NaN }, 'but is NaN'], [{ id: 1.5 }, 'but is 1.5'], [{ id: 2 ** 53 }, 'but is 9007199254740992'], [{ id: { a: 1 } }, 'but is an object with "a"'],
      [{ id: ['a'] }, 'but is a list'], [{ id: true }, 'but is true'], [{ id: null }, 'but is null'], [{ name: 'Ann' }, 'but is undefined'],
      [{ _id: 'x', name: 'Ann' }, 'pass its "_id" as "id"'], [{ sub: 'x' }, 'pass its "sub" as "id"'], [{ userId: 5 }, 'pass its "userId" as "id"'],
      [{ id: 'a', roles: 'admin' }, '"roles" must be a list of strings, but are the string "admin"'], [{ id: 'a', roles: ['a', 5] }, '"roles" must be'],
      [{ id: 'a', roles: null }, '"roles" must be'], [{ id: 'a', roles: new Set(['admin']) }, '"roles" must be'], [{ id: 'a', roles: { 0: 'admin' } }, '"roles" must be'],
    ] as const) {
      const { code, message, expose } = refusal(value);
      expect([code, expose]).to.deep.equal(['USER_INVALID', false]);
      expect(message).to.include('the user of layer "door" is not valid').and.to.include(reason);
    }
  });

  it('rejects the id of a connection, which identifies an anonymous connection', () => {
    expect(refusal({ id: newConnectionId('node') })).to.include({ code: 'USER_ID_RESERVED' });
  });

  it('does not follow later changes of the object', () => {
    const roles = ['member'];
    const given = { id: 'ann', roles };
    const user = toUser(given);

    given.id = 'bob';
    roles.push('admin');

    expect(user).to.deep.equal({ id: 'ann', roles: ['member'] });
  });

  it('reads the fields of an object with accessors from its toJSON()', () => {
    expect(toUser(new Row({ id: 7, name: 'Ann' }))).to.deep.equal({ id: '7', name: 'Ann' });
    expect(refusal(new Row({ _id: 7 })).message).to.include('pass its "_id"');
  });

  it('keeps a claim named __proto__ a claim', () => {
    const user = toUser(JSON.parse('{"id":"ann","__proto__":{"roles":["admin"]}}'));

    expect(Object.getPrototypeOf(user)).to.equal(Object.prototype);
    expect(user.roles).to.equal(undefined);
  });

  it('returns a user unchanged', () => {
    const user = toUser({ id: 5, roles: ['a'] });

    expect(toUser(user)).to.deep.equal(user);
  });
});
