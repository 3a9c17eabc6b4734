import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { root } from '../support/sources.ts';
import { example } from '../support/examples.ts';
import { packed } from '../support/packed.ts';

const execute = promisify(execFile);

describe('the example custom-plugin', () => {
  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('shares a counter among its clients', async () => {
    const { connect } = await example('custom-plugin');
    const watcher = await connect();
    const other = await connect();

    await watcher.request({ type: 'counter-watch' });
    const added = await other.request({ type: 'counter-add', content: { by: 3 } });
    const refused = await other.request({ type: 'counter-add', content: { by: 8 } });
    const wrong = await other.request({ type: 'counter-add', content: { by: '8' } });

    expect((await watcher.next('welcome')).content).to.deep.equal({ count: 0 });
    expect(added.content).to.deep.equal({ count: 3 });
    expect((await watcher.next('counter-changed')).content).to.deep.equal({ count: 3 });
    expect(refused.content).to.deep.equal({ code: 'LIMIT_REACHED', message: 'the counter ends at 10', limit: 10 });
    expect(wrong.content).to.deep.include({ code: 'VALIDATION_FAILED', issues: [{ path: 'by', message: 'must be an integer' }] });
  });

  it('can be unloaded while clients are connected, in the right order', async () => {
    const { http, connect } = await example('custom-plugin');
    const client = await connect();
    const remove = (name: string) => fetch(`${http}/plugins/${name}`, { method: 'DELETE' });

    const tooEarly = await remove('counter');
    const statuses = [(await remove('announcer')).status, (await remove('counter')).status];
    const reply = await client.request({ type: 'counter-add', content: { by: 1 } });

    expect(tooEarly.status).to.equal(409);
    expect(await tooEarly.text()).to.match(/^PLUGIN_IN_USE: plugin "counter" is required by "announcer"/);
    expect(statuses).to.deep.equal([200, 200]);
    expect(reply.content.code).to.equal('UNKNOWN_TYPE');
  });

  it('is tested with node:test, as users test their plugins', async function () {
    this.timeout(60_000);
    const { dir } = await packed();
    const folder = join(dir, 'custom-plugin');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
    for (const file of ['counter.js', 'custom-plugin.test.js']) {
      copyFileSync(join(root, 'examples', file), join(folder, file));
    }

    const { stdout } = await execute(process.execPath, ['--test', '--test-reporter=tap', 'custom-plugin.test.js'], { cwd: folder });

    expect(stdout).to.match(/^# pass 9$/m).and.to.match(/^# fail 0$/m);
  });
});
