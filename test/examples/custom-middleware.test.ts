import { expect } from 'chai';
import { UpgradeRefused } from '../support/client.ts';
import { example } from '../support/examples.ts';
import { packed } from '../support/packed.ts';

describe('the example custom-middleware', () => {
  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('puts a layer into each of the four phases', async () => {
    const { connect, until } = await example('custom-middleware');
    const client = await connect({ headers: { 'accept-language': 'nl,en;q=0.5' } });

    const reply = await client.request({ type: 'greet', content: { name: 'Ada' } });

    expect(reply).to.deep.include({ type: 'greet', content: { hello: 'Ada', language: 'nl' }, meta: { server: 'one' } });
    await until(/greet took [\d.]+ ms/);
  });

  it('refuses an upgrade with the status of the error', async () => {
    const { connect } = await example('custom-middleware');

    const refusal = await connect({ search: '?v=2' }).catch((error: unknown) => error as UpgradeRefused);

    expect(refusal).to.be.instanceOf(UpgradeRefused);
    expect(refusal).to.include({ status: 410, body: '{"code":"VERSION_GONE","message":"this server supports version 1 only"}' });
  });
});
