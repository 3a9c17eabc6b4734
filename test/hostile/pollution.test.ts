import { expect } from 'chai';
import { WebSocketModule } from '../../index.ts';
import { echoServer } from '../support/echo-server.ts';
import { frame, PING, TEXT } from '../support/frames.ts';
import { type Address, handshake, raw, rawWebSocket } from '../support/raw.ts';
import { allLayers } from './all-layers.ts';
import { NAMES, payloads } from './pollution-payloads.ts';

const PROTOTYPES = [Object, Array, Function, String, Number, Boolean, Symbol, Map, Set, Promise, Error, Buffer, RegExp, Date];

/** Every own name of every prototype that all code shares. */
function shared(): Record<string, string[]> {
  return Object.fromEntries(PROTOTYPES.map((one) => [one.name, Object.getOwnPropertyNames(one.prototype).sort()]));
}

interface Reply { readonly type: string; readonly content: any }

async function send(address: Address, messages: readonly string[]): Promise<Reply[]> {
  const client = await rawWebSocket(address);
  for (const text of messages) await client.write(frame(TEXT, text));
  await client.write(frame(PING));
  await client.until('the pong', () => client.frames.some(({ opcode }) => opcode === 0xa) || client.ended);
  client.reset();
  return client.frames.filter(({ opcode }) => opcode === TEXT).map(({ payload }) => JSON.parse(payload.toString()) as Reply);
}

describe('HOSTILE 13: prototype pollution', () => {
  it('HOSTILE 13: has at least 200 payloads', () => {
    expect(payloads).to.have.lengthOf.at.least(200);
  });

  it('HOSTILE 13: leaves every shared prototype as it was after all of them', async () => {
    const before = shared();
    const server = await echoServer({ use: await allLayers() });

    for (const text of payloads) await send(server, [text]);

    expect(shared()).to.deep.equal(before);
    expect(({} as Record<string, unknown>).polluted).to.equal(undefined);
    expect(server.errors).to.deep.equal([]);
  });

  it('HOSTILE 13: causes no internal error with any of them', async () => {
    const server = await echoServer({ use: await allLayers() });
    const codes: string[] = [];

    for (const text of payloads) {
      for (const { type, content } of await send(server, [text])) if (type === 'error') codes.push(`${content.code} ${text}`);
    }

    expect(codes.filter((line) => line.startsWith('INTERNAL_ERROR'))).to.deep.equal([]);
  });

  it('HOSTILE 13: rejects the key __proto__ at any depth and in any spelling', async () => {
    const server = await echoServer();
    const accepted: string[] = [];

    for (const text of payloads.filter((one) => 'toString' in JSON.parse(one) && /"(_|\\u005f)_pro(t|\\u0074)o__":/.test(one))) {
      const [reply] = await send(server, [text]);
      if (reply?.type !== 'error' || reply.content.code !== 'FORBIDDEN_KEY') accepted.push(`${text}: ${JSON.stringify(reply)}`);
    }

    expect(accepted).to.deep.equal([]);
  });

  it('HOSTILE 13: treats names of Object.prototype as unknown types', async () => {
    const server = await echoServer();

    for (const name of NAMES) {
      const [reply] = await send(server, [`{"type":"${name}","id":"1"}`]);
      expect(reply, name).to.include({ type: 'error', replyTo: '1' });
      expect(reply!.content.code, name).to.equal('UNKNOWN_TYPE');
    }
  });

  it('HOSTILE 13: calls handlers of such names if an application has registered them', async () => {
    const server = await echoServer();
    for (const name of NAMES) server.manager.registerHandler(name, () => ({ type: 'mine', content: name }));

    for (const name of NAMES) {
      const [reply] = await send(server, [`{"type":"${name}"}`]);
      expect(reply, name).to.deep.include({ type: 'mine', content: name });
    }
  });

  it('HOSTILE 13: accepts no option of such a name', () => {
    const before = shared();
    for (const name of NAMES) {
      const options = JSON.parse(`{"port":0,"${name}":{"polluted":1}}`) as { port: number };
      const groups = JSON.parse(`{"port":0,"message":{"${name}":1}}`) as { port: number };
      expect(() => WebSocketModule.create(options), name).to.throw().with.property('code', 'OPTION_UNKNOWN');
      expect(() => WebSocketModule.create(groups), name).to.throw().with.property('code', 'OPTION_UNKNOWN');
    }
    expect(shared()).to.deep.equal(before);
  });

  it('HOSTILE 13: finds no built-in by such a name', async () => {
    const { manager } = await echoServer();

    for (const name of NAMES) expect(() => manager.use(name), name).to.throw().with.property('code', 'BUILTIN_UNKNOWN');
  });

  it('HOSTILE 13: never uses data of a client as the prototype of the metadata', async () => {
    const claims = { type: 'connection' as const, name: 'claims', handler: () => JSON.parse('{"name":"ann","__proto__":{"admin":true}}') as object };
    const server = await echoServer({ use: [claims] });
    server.manager.registerHandler('admin', (_message, { metadata }) => ({ type: 'admin', content: [metadata.name, metadata.admin ?? 'no'] }));

    const [reply] = await send(server, ['{"type":"admin"}']);

    expect(reply!.content).to.deep.equal(['ann', 'no']);
  });

  it('HOSTILE 13: survives such names in query, headers and subprotocols', async () => {
    const before = shared();
    const server = await echoServer({ keepHeaders: ['x-user'], protocols: ['chat'] });
    for (const name of NAMES) {
      const client = await raw(server);
      await client.write(handshake({ ...server, path: `/ws?${name}[polluted]=1&${name}.polluted=1&${name}=1` }, {
        headers: { 'X-User': name, 'Sec-WebSocket-Protocol': `${name}, chat` }, lines: [`${name}: polluted`, `Cookie: ${name}=polluted`],
      }));
      expect((await client.answer())?.status, name).to.equal(101);
      client.reset();
    }

    expect(shared()).to.deep.equal(before);
    expect(({} as Record<string, unknown>).polluted).to.equal(undefined);
  });
});
