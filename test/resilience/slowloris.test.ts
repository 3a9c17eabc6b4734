import { echoServer } from '../support/echo-server.ts';
import { withinAllowance } from '../support/timing.ts';
import { allowance, kinds, slowloris, slowlorisControl, tarpit } from '../support/slowloris.ts';

describe('HOSTILE 5: slowloris at length', () => {
  it('HOSTILE 5: closes 500 clients of each kind in time, and serves other clients meanwhile', async () => {
    const timeout = 2_000;
    const http = { headersTimeout: timeout, connectionsCheckingInterval: 500 };
    const server = await echoServer({ handshakeTimeout: timeout, use: [tarpit], maxConnections: 2_000, http });

    await withinAllowance(3, async () => {
      const control = await slowlorisControl(http, 750, timeout + 5_000);
      const { longest, idle, attacked } = await slowloris(server, kinds, 500, timeout + 5_000);
      const { held, connect } = allowance(control, idle, timeout + 600);
      console.log(`      honest handshakes: p99 ${idle.toFixed(1)} ms idle, ${attacked.toFixed(1)} ms under attack; held ${JSON.stringify(longest)};`
        + ` bare ws: p99 ${control.attacked.toFixed(1)} ms, held ${JSON.stringify(control.longest)}`);
      return {
        'honest handshakes, p99 in ms': { value: attacked, allowed: connect },
        ...Object.fromEntries(kinds.map((kind) => [`${kind} ones held, in ms`, { value: longest[kind], allowed: held }])),
      };
    });
  });
});
