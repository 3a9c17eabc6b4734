import { expect } from 'chai';
import { echoServer } from '../support/echo-server.ts';
import { kinds, slowloris, tarpit } from '../support/slowloris.ts';

describe('HOSTILE 5: slowloris at length', () => {
  it('HOSTILE 5: lets go of 500 clients of each kind in time, and serves honest ones meanwhile', async () => {
    const timeout = 2_000;
    const http = { headersTimeout: timeout, connectionsCheckingInterval: 500 };
    const server = await echoServer({ handshakeTimeout: timeout, use: [tarpit], maxConnections: 2_000, http });

    const { longest, idle, attacked } = await slowloris(server, 500, timeout + 5_000);

    for (const kind of kinds) expect(longest[kind], kind).to.be.at.most(timeout + 600);
    expect(attacked).to.be.at.most(Math.max(100, 10 * idle));
    console.log(`      honest handshakes: p99 ${idle.toFixed(1)} ms idle, ${attacked.toFixed(1)} ms under attack; held ${JSON.stringify(longest)}`);
  });
});
