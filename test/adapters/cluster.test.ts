import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { ClusterAdapter } from '../../adapters/cluster.ts';
import { PrimaryBus } from '../../adapters/cluster/primary-bus.ts';
import { cleanup } from '../support/cleanup.ts';
import { codeOf } from '../src/start-kernel.ts';

const SUITES = fileURLToPath(new URL('../support/processes/cluster-suites.ts', import.meta.url));

describe('the cluster adapter', () => {
  for (const serialization of ['advanced', 'json'] as const) {
    it(`passes the suites of adapters and stores, with the serialization ${serialization}`, async function () {
      this.timeout(60_000);
      const worker = fork(SUITES, [], {
        execArgv: ['--import', 'tsx'], serialization, stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      });
      cleanup(() => { worker.kill('SIGKILL'); });
      const detach = new PrimaryBus().attach(worker);
      const [{ passed, failed }] = await new Promise<[{ passed: number; failed: string[] }]>((resolve) => {
        worker.on('message', (message: { passed: number; failed: string[] }) => { if ('failed' in message) resolve([message]); });
      });
      if (worker.exitCode === null) await once(worker, 'exit');
      detach();

      expect(failed.join('\n\n')).to.equal('');
      expect(passed).to.be.above(60);
    });
  }

  it('says what it needs where there is no primary', async () => {
    const adapter = new ClusterAdapter();

    const code = process.send ? 'PRIMARY_MISSING' : await codeOf(adapter.start({ id: 'a', receive: () => undefined }));

    expect(code).to.equal('PRIMARY_MISSING');
    expect(await codeOf(adapter.store.sizes(['a']))).to.equal('STORE_UNAVAILABLE');
    expect(await adapter.check()).to.include({ status: 'unhealthy' });
    expect(() => new ClusterAdapter({ bus: 1 as never })).to.throw().with.property('code', 'OPTION_INVALID');
  });
});
