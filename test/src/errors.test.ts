import { expect } from 'chai';
import fc from 'fast-check';
import { errorCodes, hasCode, ModuleError, nearestName, toError } from '../../src/errors.ts';

describe('ModuleError', () => {
  it('has the text and the traits of its code', () => {
    const error = new ModuleError('SERVER_FULL', { limit: 5 });

    expect(error).to.be.instanceOf(Error).and.include({ code: 'SERVER_FULL', expose: true, status: 503, closeCode: 4153, name: 'ModuleError' });
    expect(error.message).to.include('5 connections');
    expect(error.details).to.deep.equal({ limit: 5 });
  });

  it('keeps its cause', () => {
    const cause = new Error('deeper');

    expect(new ModuleError('INTERNAL_ERROR', {}, { cause }).cause).to.equal(cause);
  });

  it('is exposed to the peer if its code is an application\'s own, unless `expose` is false', () => {
    expect(new ModuleError('TABLE_FULL', { table: 7 }, { message: 'table 7 is full' })).to.include({ expose: true, message: 'table 7 is full' });
    expect(new ModuleError('TABLE_FULL', {}, { expose: false }).expose).to.be.false;
  });

  it('treats names of Object.prototype like any other code', () => {
    expect(new ModuleError('constructor')).to.include({ code: 'constructor', message: 'constructor' });
  });

  it('hides from the peer what concerns only the application', () => {
    const shown = Object.entries(errorCodes).filter(([, { expose }]) => expose).map(([code]) => code);

    expect(shown).to.include.members(['UNKNOWN_TYPE', 'INVALID_JSON', 'HANDLER_TIMEOUT', 'INTERNAL_ERROR']);
    for (const code of ['OPTION_INVALID', 'PLUGIN_SETUP_FAILED', 'UNSENDABLE_MESSAGE', 'NEXT_TWICE', 'ADAPTER_FAILED']) expect(shown).to.not.include(code);
  });

  it('has only close codes that are valid in a frame, and only statuses of errors', () => {
    for (const [code, { status, closeCode }] of Object.entries(errorCodes)) {
      if (status !== undefined) expect(status, code).to.be.within(400, 599);
      if (closeCode !== undefined) expect(closeCode, code).to.satisfy((value: number) => (value >= 4000 && value <= 4999) || [1008, 1011].includes(value));
    }
  });
});

describe('hasCode', () => {
  it('knows a ModuleError by its code, and nothing else', () => {
    const error = new ModuleError('SERVER_FULL', { limit: 5 });

    expect(hasCode(error, 'SERVER_FULL')).to.be.true;
    expect(hasCode(error, 'FORBIDDEN', 'SERVER_FULL')).to.be.true;
    for (const other of [Object.assign(new Error(), { code: 'FORBIDDEN' }), error, undefined]) expect(hasCode(other, 'FORBIDDEN')).to.be.false;
  });
});

describe('toError', () => {
  it('leaves an error as it is', () => {
    const error = new TypeError('as it is');

    expect(toError(error)).to.equal(error);
  });

  it('returns an Error for any thrown value', () => {
    fc.assert(fc.property(fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true, withMap: true }), (thrown) => {
      expect(toError(thrown)).to.be.instanceOf(Error);
    }));
  });

  it('returns an Error for values that cannot be converted to a string', () => {
    for (const thrown of [Object.create(null), { toString: () => { throw new Error('no text'); } }, Symbol('s'), { toString: 1, valueOf: 1 }]) {
      expect(() => toError(thrown)).to.not.throw();
    }
  });
});

describe('nearestName', () => {
  it('finds the name that a misspelled name means', () => {
    const known = ['maxConnections', 'maxPayload', 'heartbeat'];

    expect(nearestName('maxConection', known)).to.equal('maxConnections');
    expect(nearestName('MAXPAYLOAD', known)).to.equal('maxPayload');
    expect(nearestName('hartbeat', known)).to.equal('heartbeat');
  });

  it('finds nothing if no name is similar, or the name is too long', () => {
    expect(nearestName('colour', ['maxConnections'])).to.equal(undefined);
    expect(nearestName('x'.repeat(100_000), ['x'.repeat(100_000)])).to.equal(undefined);
  });
});
