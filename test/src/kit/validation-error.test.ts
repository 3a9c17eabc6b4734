import { expect } from 'chai';
import { validationError } from '../../../src/kit/validation-error.ts';

describe('validationError', () => {
  it('tells what is wrong, and where', () => {
    const error = validationError([{ path: 'roomId', message: 'must be a string' }]);

    expect(error.code).to.equal('VALIDATION_FAILED');
    expect(error.expose).to.be.true;
    expect(error.details).to.deep.equal({ issues: [{ path: 'roomId', message: 'must be a string' }] });
    expect(error.message).to.contain('roomId: must be a string');
  });

  it('names the whole payload `content`', () => {
    expect(validationError([{ path: '', message: 'must be an object' }]).details).to.deep.equal({ issues: [{ path: 'content', message: 'must be an object' }] });
  });

  it('stays short, whatever was sent', () => {
    const issue = { path: 'x'.repeat(100_000), message: 'y'.repeat(100_000) };
    const { details, message } = validationError(Array<typeof issue>(1_000).fill(issue));

    expect(details.issues).to.have.length(20);
    expect(message.length).to.be.below(10_000);
  });
});
