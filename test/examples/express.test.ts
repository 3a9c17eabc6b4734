import { expect } from 'chai';
import { example } from '../support/examples.ts';
import { packed } from '../support/packed.ts';

describe('the example express', () => {
  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('serves both HTTP and WebSockets, and lets a route reach the clients', async () => {
    const { http, connect } = await example('express');
    const client = await connect();

    const response = await fetch(`${http}/api/announcements`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"title":"Lunch"}' });

    expect(response.status).to.equal(202);
    expect(await response.json()).to.deep.equal({ reached: 1 });
    expect((await client.next('announcement')).content).to.deep.equal({ title: 'Lunch' });
    expect(await (await fetch(`${http}/api/websocket/health`)).json()).to.deep.include({ status: 'healthy', connections: { active: 1, total: 1 } });
    expect(await (await fetch(`${http}/api/websocket/metrics`)).json()).to.have.property('errors');
  });
});
