import { expect } from 'chai';
import type { Logger, LogLevel } from '../../index.ts';
import { logging, type LoggingOptions } from '../../middleware/logging.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start, type StartOptions } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

interface Line { readonly level: LogLevel; readonly text: string; readonly details: Record<string, any> }

/** A server, and the lines that the plugin wrote. */
async function logged({ level, ...options }: LoggingOptions & StartOptions = {}) {
  const lines: Line[] = [];
  const keep = (of: LogLevel) => (line: string) => {
    const [, text, details] = /^websocket:logging (\w+) (.*)$/.exec(line) ?? [];
    if (text) lines.push({ level: of, text, details: JSON.parse(details!) as Record<string, any> });
  };
  const logger: Logger = { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') };
  const started = await start({ logger, ...options, use: [logging(level ? { level } : {}), ...options.use ?? []] });
  const said = (text: string) => lines.filter((line) => line.text === text);
  return { ...started, lines, said };
}

const ann = { type: 'connection', name: 'names', handler: () => ({ user: { id: 'ann', email: 'ann@example.com' } }) } as const;

describe('logging', () => {
  it('is a built-in', async () => {
    const { connect } = await start({ middleware: ['logging'], builtins: { logging: { level: 'debug' } } });
    const client = await connect();

    const reply = await client.request({ type: 'init' });

    expect(reply.content.features).to.include('logging');
  });

  it('logs connections that are added, identified and removed', async () => {
    const { manager, said, connect } = await logged({ use: [ann] });
    const client = await connect();
    const [{ id } = { id: '' }] = manager.connections.values();

    await client.close(4321, 'enough');
    await eventually('the end', () => said('disconnected').length === 1);

    expect(said('identified')[0]!.details).to.deep.equal({ connection: id, user: 'ann' });
    expect(said('connected')[0]!.details).to.deep.equal({ connection: id, ip: '127.0.0.1', user: 'ann' });
    expect(said('disconnected')[0]!.details).to.include({ connection: id, user: 'ann', code: 4321, reason: 'enough' });
    expect(said('disconnected')[0]!.details.duration).to.be.within(0, 5_000);
  });

  it('logs each message with its user, type, duration and error', async () => {
    const { manager, said, connect } = await logged({ use: [ann] });
    manager.registerHandler('slow', () => new Promise((resolve) => setTimeout(resolve, 20)));
    const client = await connect();

    await client.request({ type: 'slow', id: 'a', ack: true });
    await client.request({ type: 'nope', id: 'b' });

    const [{ id } = { id: '' }] = manager.connections.values();
    const [first, second] = said('handled').map(({ details }) => details);
    expect(first).to.include({ connection: id, user: 'ann', type: 'slow', id: 'a' });
    expect(first).to.not.have.property('error');
    expect(first!.duration).to.be.at.least(19);
    expect(second).to.include({ type: 'nope', id: 'b', error: 'UNKNOWN_TYPE' });
  });

  it('logs refused upgrades', async () => {
    const { said, connect } = await logged({ origins: ['https://app.example.com'] });

    await connect({ origin: 'https://evil.example.com' }).catch(() => undefined);

    expect(said('refused').map(({ details }) => details)).to.deep.equal([{ ip: '127.0.0.1', error: 'ORIGIN_REFUSED' }]);
  });

  it('logs messages that could not be sent', async () => {
    const { manager, said } = await logged();

    manager.sendToConnection('nobody.1', { type: 'hello' });

    expect(said('dropped').map(({ details }) => details)).to.deep.equal([{ error: 'CONNECTION_UNKNOWN' }]);
  });

  it('never logs the content of a message, or more of a user than the id', async () => {
    const { manager, lines, connect } = await logged({ use: [ann] });
    manager.registerHandler('chat', () => ({ type: 'chat', content: 'secret reply' }));
    manager.registerHandler('fails', () => { throw new Error('secret failure'); });
    manager.on('error', () => {});
    const client = await connect({ search: '?token=secret', headers: { Authorization: 'Bearer secret' } });

    await client.request({ type: 'chat', content: { text: 'secret', password: 'secret' }, secret: 'secret', meta: { secret: 'secret' } });
    await client.request({ type: 'fails', content: 'secret' });

    expect(lines.length).to.be.at.least(4);
    expect(JSON.stringify(lines)).to.not.match(/secret|example\.com/);
  });

  it('HOSTILE 15: writes one line for each, whatever its type and id are', async () => {
    const written: string[] = [];
    const keep = (line: string) => void written.push(line);
    const { connect } = await start({ logger: { debug: keep, info: keep, warn: keep, error: keep }, use: [logging()] });
    const client = await connect();

    await client.request({ type: 'a\r\nINFO forged\u001b[31m\u0000', id: 'b\nforged\u2028' });

    expect(written.filter((line) => line.includes('forged'))).to.have.lengthOf(1);
    // eslint-disable-next-line no-control-regex -- what must not be there
    for (const line of written) expect(line).to.not.match(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
  });

  it('uses the configured level', async () => {
    const { manager, lines, connect } = await logged({ level: 'warn' });
    manager.setLogLevel('warn');

    await (await connect()).request({ type: 'ping' });

    expect(lines.map(({ level, text }) => `${level} ${text}`)).to.deep.equal(['warn connected', 'warn handled']);
  });

  it('does no work while its level is off, and starts when it is turned on', async () => {
    let looks = 0;
    const watched = { get id() { looks++; return 'ann'; } };
    const { manager, said, connect } = await logged({ level: 'debug', use: [{ type: 'connection', name: 'names', handler: () => ({ user: watched }) }] });
    const client = await connect();
    await client.request({ type: 'ping' });
    const before = looks;

    await client.request({ type: 'ping' });
    const off = looks - before;
    manager.setLogLevel('debug');
    await client.request({ type: 'ping' });

    expect(off).to.equal(0);
    expect(said('handled')).to.have.lengthOf(1);
  });

  it('rejects wrong options when it is created', () => {
    expect(() => logging({ level: 'loud' as 'info' })).to.throw(/"logging\.level" must be one of "debug", "info", "warn", "error", but is the string "loud"/);
    expect(() => logging({ levels: 'info' } as LoggingOptions)).to.throw(/did you mean "logging\.level"/);
  });

  it('exports itself as a property, so that a destructured require() works', () => {
    expect(logging.logging).to.equal(logging);
  });
});

pluginSuite('logging', () => logging());
