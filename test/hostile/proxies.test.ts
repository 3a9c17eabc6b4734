import { expect } from 'chai';
import { connectionLimits } from '../../middleware/connection-limits.ts';
import { networks } from '../../src/index.ts';
import { recorder } from '../src/start-kernel.ts';
import { type EchoOptions, echoServer } from '../support/echo-server.ts';
import { frame, TEXT } from '../support/frames.ts';
import { type Address, handshake, raw, rawWebSocket } from '../support/raw.ts';

/** Headers in which proxies, or those who play one, name a client. */
const CLAIMS: readonly Record<string, string>[] = [
  { 'X-Forwarded-For': '1.2.3.4' }, { 'X-Forwarded-For': '1.2.3.4, 5.6.7.8' }, { 'X-Forwarded-For': '127.0.0.1, 1.2.3.4' },
  { 'X-Forwarded-For': '::1' }, { 'X-Forwarded-For': '2001:db8::1' }, { 'X-Forwarded-For': '' }, { 'X-Forwarded-For': 'localhost' },
  { 'X-Forwarded-For': '10.0.0.1' }, { 'X-Forwarded-For': '::ffff:10.0.0.1' }, { 'X-Forwarded-For': ','.repeat(8_000) },
  { 'X-Forwarded-For': '1.2.3.4\u00a0' }, { 'X-Real-IP': '1.2.3.4' }, { 'Forwarded': 'for=1.2.3.4' }, { 'Forwarded': 'for="[2001:db8::1]:80";proto=https' },
  { 'CF-Connecting-IP': '1.2.3.4' }, { 'True-Client-IP': '1.2.3.4' }, { 'X-Client-IP': '1.2.3.4' }, { 'X-Cluster-Client-IP': '1.2.3.4' },
  { 'Fastly-Client-IP': '1.2.3.4' }, { 'X-Forwarded': 'for=1.2.3.4' }, { 'Via': '1.1 1.2.3.4' }, { 'Client-IP': '1.2.3.4' },
  { 'x-forwarded-for': '1.2.3.4' }, { 'X_Forwarded_For': '1.2.3.4' }, { 'X-Forwarded-Host': '1.2.3.4', 'X-Forwarded-Server': '1.2.3.4' },
];

async function ipOf(
  address: Address, headers: Record<string, string>, lines: readonly string[] = [], localAddress?: string,
): Promise<string> {
  const client = await rawWebSocket(address, { headers, lines, ...localAddress !== undefined && { localAddress } });
  await client.write(frame(TEXT, '{"type":"whoami"}'));
  await client.until('an answer', () => client.frames.length > 0 || client.ended);
  client.reset();
  return (JSON.parse(client.frames[0]!.payload.toString()) as { content: string }).content;
}

describe('HOSTILE 16: forged addresses of clients', () => {
  for (const [name, options] of Object.entries<EchoOptions>({
    'where no proxy is trusted': {},
    'where others are trusted': { trustProxy: ['10.0.0.0/8', '192.168.1.1', '2001:db8::/32'] },
  })) {
    it(`HOSTILE 16: uses the socket's address ${name}, whatever the headers claim`, async () => {
      const server = await echoServer(options);
      const fooled: string[] = [];

      for (const claim of CLAIMS) {
        const ip = await ipOf(server, claim);
        if (ip !== '127.0.0.1') fooled.push(`${JSON.stringify(claim)}: ${ip}`);
      }

      expect(fooled).to.deep.equal([]);
    });
  }

  it('HOSTILE 16: uses the right-most address that is not a trusted proxy, and ignores what a client puts to its left', async () => {
    const server = await echoServer({ trustProxy: ['127.0.0.0/8', '10.0.0.0/8'] });
    const expected: readonly (readonly [header: string, ip: string])[] = [
      ['203.0.113.9', '203.0.113.9'], ['1.2.3.4, 203.0.113.9', '203.0.113.9'], ['1.2.3.4, 203.0.113.9, 10.1.1.1', '203.0.113.9'],
      ['1.2.3.4,203.0.113.9,10.1.1.1,10.2.2.2', '203.0.113.9'], ['10.9.9.9, 203.0.113.9', '203.0.113.9'], ['127.0.0.1, 203.0.113.9', '203.0.113.9'],
      ['1.2.3.4, ::ffff:203.0.113.9', '203.0.113.9'], ['1.2.3.4, 203.0.113.9, ::ffff:10.1.1.1', '203.0.113.9'], ['1.2.3.4, ::FFFF:203.0.113.9', '203.0.113.9'],
      ['1.2.3.4, 2001:db8::9', '2001:db8::9'], ['1.2.3.4, 2001:DB8::9', '2001:db8::9'], [' 203.0.113.9 ', '203.0.113.9'], ['\t203.0.113.9\t', '203.0.113.9'],
      // As Azure writes it, and as RFC 7239 has it.
      ['1.2.3.4, 203.0.113.9:4001', '203.0.113.9'], ['203.0.113.9:4001, 10.1.1.1:80', '203.0.113.9'],
      ['1.2.3.4, [2001:db8::9]:443', '2001:db8::9'], ['1.2.3.4, [2001:db8::9]', '2001:db8::9'], ['[::ffff:203.0.113.9]:443', '203.0.113.9'],
    ];

    for (const [header, ip] of expected) expect(await ipOf(server, { 'X-Forwarded-For': header }), header).to.equal(ip);
  });

  it('HOSTILE 16: stops at an invalid address, and ignores everything to its left', async () => {
    const server = await echoServer({ trustProxy: ['127.0.0.0/8'] });

    for (const garbage of ['', 'unknown', '_hidden', '999.1.1.1', '1.2.3', '1.2.3.4.5', '0x7f000001', '2130706433', '127.1', '010.0.0.1', '[::1', '::1]', '[1.2.3.4]', '[::g]:1', '[]', '1.2.3.4:', '1.2.3.4:x', '1.2.3.4:123456', '1.2.3.4:80:80', '1.2.3.4/8', 'localhost', '::g', '%', '<b>']) {
      expect(await ipOf(server, { 'X-Forwarded-For': `1.2.3.4, ${garbage}` }), garbage).to.equal('127.0.0.1');
    }
  });

  it('HOSTILE 16: reads two headers as one list, in their order', async () => {
    const server = await echoServer({ trustProxy: ['127.0.0.0/8'] });

    expect(await ipOf(server, {}, ['X-Forwarded-For: 1.2.3.4', 'X-Forwarded-For: 203.0.113.9'])).to.equal('203.0.113.9');
  });

  it('HOSTILE 16: trusts a proxy\'s exact address and not its neighbour', async () => {
    const server = await echoServer({ trustProxy: ['127.0.0.2'] });

    expect(await ipOf(server, { 'X-Forwarded-For': '203.0.113.9' }, [], '127.0.0.2')).to.equal('203.0.113.9');
    expect(await ipOf(server, { 'X-Forwarded-For': '203.0.113.9' }, [], '127.0.0.3')).to.equal('127.0.0.3');
  });

  it('HOSTILE 16: counts the connections of a socket\'s address, whatever addresses it claims', async () => {
    const server = await echoServer({ use: [connectionLimits({ maxPerIP: 3 })] });
    const answers: (number | undefined)[] = [];

    for (let index = 0; index < 5; index++) {
      const client = await raw(server);
      await client.write(handshake(server, { headers: { 'X-Forwarded-For': `203.0.113.${index}`, 'X-Real-IP': `203.0.113.${index}` } }));
      answers.push((await client.answer())?.status);
    }

    expect(answers).to.deep.equal([101, 101, 101, 429, 429]);
  });

  it('HOSTILE 16: counts a client by the address of its proxy header, and IPv4 within IPv6 as IPv4', async () => {
    const server = await echoServer({ listen: '::', trustProxy: ['127.0.0.0/8'], use: [connectionLimits({ maxPerIP: 1 })] });
    const answers: (number | undefined)[] = [];

    for (const ip of ['203.0.113.9', '::ffff:203.0.113.9', '203.0.113.10', '2001:db8:1:1::1', '2001:db8:1:1:ffff::2', '2001:db8:1:2::1']) {
      const client = await raw(server);
      await client.write(handshake(server, { headers: { 'X-Forwarded-For': `1.2.3.4, ${ip}` } }));
      answers.push((await client.answer())?.status);
    }

    expect(answers, 'an IPv6 /64 is one customer').to.deep.equal([101, 429, 101, 101, 429, 101]);
  });

  it('HOSTILE 16: recognizes a proxy at an IPv6 socket by its IPv4 address', async () => {
    const trusting = await echoServer({ listen: '::', trustProxy: ['127.0.0.0/8'] });
    const plain = await echoServer({ listen: '::' });

    expect(await ipOf(trusting, { 'X-Forwarded-For': '203.0.113.9' })).to.equal('203.0.113.9');
    expect(await ipOf(plain, { 'X-Forwarded-For': '203.0.113.9' })).to.equal('127.0.0.1');
    expect(await ipOf({ ...plain, host: '::1' }, { Host: 'localhost' })).to.equal('::1');
  });

  it('HOSTILE 16: recognizes the named networks', async () => {
    for (const [name, trusted, foreign] of [
      ['loopback', ['127.0.0.1', '127.9.9.9', '::1'], ['128.0.0.1', '::2']],
      ['linklocal', ['169.254.1.1', 'fe80::1'], ['169.255.0.1', 'fec0::1']],
      ['uniquelocal', ['10.1.1.1', '172.16.0.1', '172.31.255.255', '192.168.0.1', 'fc00::1', 'fd12::1'], ['172.32.0.1', '192.169.0.1', 'fe00::1']],
    ] as const) {
      const isTrusted = networks([name]);
      for (const address of trusted) expect(isTrusted(address), `${name} ${address}`).to.be.true;
      for (const address of [...foreign, '203.0.113.9', '', 'unix', name]) expect(isTrusted(address), `${name} ${address}`).to.be.false;
    }
    const server = await echoServer({ trustProxy: ['loopback', 'uniquelocal'] });
    expect(await ipOf(server, { 'X-Forwarded-For': '1.2.3.4, 203.0.113.9, 192.168.0.1' })).to.equal('203.0.113.9');
  });

  it('HOSTILE 16: logs once that an untrusted peer sends a forwarding header', async () => {
    for (const [header, trustProxy, expected] of [
      ['X-Forwarded-For', ['10.0.0.0/8'], 'trustProxy: [\'127.0.0.1\']'], ['Forwarded', [], 'let it send X-Forwarded-For'],
    ] as const) {
      const logger = recorder();
      const server = await echoServer({ logger, trustProxy });

      for (let index = 0; index < 3; index++) await ipOf(server, { [header]: '203.0.113.9' });

      const lines = logger.lines.filter((line) => line.includes('trustProxy'));
      expect(lines).to.have.lengthOf(1);
      expect(lines[0]).to.include(expected).and.to.include('127.0.0.1').and.to.not.include('203.0.113.9');
    }
    const trusting = recorder();
    await ipOf(await echoServer({ logger: trusting, trustProxy: ['loopback'] }), { 'X-Forwarded-For': '203.0.113.9' });
    expect(trusting.lines.filter((line) => line.includes('trustProxy'))).to.deep.equal([]);
  });
});
