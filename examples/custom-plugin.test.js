// Tests of the plugins in counter.js. Run them with `node --test examples/custom-plugin.test.js` after `npm ci`.
import assert from 'node:assert/strict';
import * as runner from 'node:test';
import { pluginSuite, start, stopAll } from 'websocket-module/testing';
import { announcer, counter } from './counter.js';

const { afterEach, describe, it } = runner;

afterEach(stopAll);

describe('counter', () => {
  it('tells every watcher the new value', async () => {
    const { connect } = await start({ use: [counter()] });
    const [watcher, other] = [await connect(), await connect()];
    await watcher.request({ type: 'counter-watch' });

    const reply = await other.request({ type: 'counter-add', by: 3 });

    assert.deepEqual(reply.content, { count: 3 });
    assert.deepEqual((await watcher.next('counter-changed')).content, { count: 3 });
  });

  it('refuses to exceed its limit', async () => {
    const { connect } = await start({ use: [counter({ limit: 10 })] });
    const client = await connect();

    const reply = await client.request({ type: 'counter-add', by: 11 });

    assert.equal(reply.type, 'error');
    assert.deepEqual(reply.content, { code: 'LIMIT_REACHED', message: 'the counter ends at 10', limit: 10 });
  });

  it('refuses a number that is not an integer', async () => {
    const { connect } = await start({ use: [counter()] });
    const client = await connect();

    const reply = await client.request({ type: 'counter-add', by: '8' });

    assert.equal(reply.content.code, 'VALIDATION_FAILED');
    assert.deepEqual(reply.content.issues, [{ path: 'by', message: 'must be an integer' }]);
  });
});

// Loads and unloads each plugin three times, and finds what it leaves behind.
pluginSuite('counter', () => counter(), {
  runner,
  exercise: (_, client) => client.request({ type: 'counter-watch' }),
});
pluginSuite('announcer', () => announcer, { runner, requires: () => [counter()] });
