import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv6, SocketAddress, type Socket } from 'node:net';
import { namedNetworks, UNIX } from '../runtime/options.ts';

/**
 * Whether an address is in one of these networks, given as addresses, in CIDR notation or by name (`loopback`,
 * `linklocal`, `uniquelocal`). The name `unix` stands for the peer of a unix socket, which has no address.
 */
export function networks(list: readonly string[]): (address: string) => boolean {
  if (list.length === 0) return () => false;
  const block = new BlockList();
  for (const network of list.flatMap((item) => namedNetworks.get(item) ?? item)) {
    if (network === UNIX) continue;
    const [address = '', prefix] = network.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (prefix === undefined) block.addAddress(address, family);
    else block.addSubnet(address, Number(prefix), family);
  }
  const hasUnix = list.includes(UNIX);
  return (address) => {
    if (isIP(address) === 0) return hasUnix && address === UNIX;
    return block.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  };
}

const MAPPED = /^::ffff:\d+\.\d+\.\d+\.\d+$/;

/** An address in one form: IPv4 mapped into IPv6 (`::ffff:10.0.0.1`) becomes the IPv4 address, zones are cut. */
export function plainAddress(address: string): string {
  // The usual form, as the operating system gives it for IPv4.
  if (!/[:%]/.test(address)) return address;
  if (MAPPED.test(address)) return address.slice('::ffff:'.length);
  const [bare = ''] = address.split('%', 1);
  // SocketAddress writes one of many spellings, and a mapped address with dots.
  const written = isIPv6(bare) ? new SocketAddress({ address: bare, family: 'ipv6' }).address : bare;
  return MAPPED.test(written) ? written.slice('::ffff:'.length) : written;
}

/** The socket's other end: its address, `unix` over a unix socket, or an empty string where neither is known. */
export function peerAddress({ socket }: IncomingMessage): string {
  const { remoteAddress, server } = socket as Socket & { readonly server?: { address?(): unknown } };
  if (remoteAddress !== undefined) return plainAddress(remoteAddress);
  // A TCP socket that is gone has no address either; its server has a port. One on an inherited unix socket has null.
  const listening = server?.address?.();
  return listening === null || typeof listening === 'string' ? UNIX : '';
}

/**
 * The client's address: the right-most hop of `X-Forwarded-For` that is no trusted proxy; empty where it is unknown.
 * The header counts only when the socket's own peer is trusted. What stands left of the first untrusted hop may be
 * made up.
 */
export function clientAddress(request: IncomingMessage, isTrusted: (address: string) => boolean): string {
  let client = peerAddress(request);
  if (isTrusted(client)) {
    const header = request.headers['x-forwarded-for'];
    const hops = (Array.isArray(header) ? header.join(',') : header ?? '').split(',');
    while (isTrusted(client)) {
      const hop = hopAddress((hops.pop() ?? '').trim());
      if (!isIP(hop)) break;
      client = hop;
    }
  }
  return client === UNIX ? '' : client;
}

/** A hop as proxies write it: with brackets and a port, too (`203.0.113.1:4001`, `[2001:db8::1]:443`). */
function hopAddress(hop: string): string {
  const [, bracketed, dotted] = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d{1,5})?$/.exec(hop) ?? [];
  if (bracketed !== undefined && !isIPv6(bracketed)) return '';
  return plainAddress(bracketed ?? dotted ?? hop);
}

/** Headers in which proxies name the client. */
const FORWARDING = ['x-forwarded-for', 'forwarded', 'x-real-ip'];

/** What to tell the operator when a peer that is no trusted proxy names a client; else undefined. */
export function untrustedProxy(request: IncomingMessage, isTrusted: (address: string) => boolean): string | undefined {
  const header = FORWARDING.find((name) => request.headers[name] !== undefined);
  const peer = header === undefined ? '' : peerAddress(request);
  if (peer === '' || isTrusted(peer)) return undefined;
  const [from, effect] = peer === UNIX
    ? ['over a unix socket', 'limits and bans by address do not apply to its clients']
    : [`from ${peer}`, 'limits and bans by address hold all its clients together'];
  const also = header === 'x-forwarded-for' ? '' : ' and let it send X-Forwarded-For';
  return `ignored the header "${header}" ${from}, which "trustProxy" does not name: ${effect}. `
    + `If it is your proxy, create the manager with trustProxy: ['${peer}']${also}`;
}
