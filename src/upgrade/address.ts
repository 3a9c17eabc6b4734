import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv6, SocketAddress, type Socket } from 'node:net';
import { namedNetworks, UNIX } from '../runtime/options.ts';

/**
 * Returns a function that tells whether an address is in one of these networks, given as addresses, in CIDR notation or
 * by name (`loopback`, `linklocal`, `uniquelocal`). `unix` is the peer of a unix socket, which has no address.
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

/** Normalizes an address: an IPv4-mapped one (`::ffff:10.0.0.1`) becomes the IPv4 address, and zones are removed. */
export function plainAddress(address: string): string {
  // An IPv4 address has one form only.
  if (!/[:%]/.test(address)) return address;
  if (MAPPED.test(address)) return address.slice('::ffff:'.length);
  const [bare = ''] = address.split('%', 1);
  // SocketAddress writes each IPv6 address in one form, a mapped one with dots.
  const written = isIPv6(bare) ? new SocketAddress({ address: bare, family: 'ipv6' }).address : bare;
  return MAPPED.test(written) ? written.slice('::ffff:'.length) : written;
}

/** The address of the socket's peer: `unix` over a unix socket, an empty string if it is unknown. */
export function peerAddress({ socket }: IncomingMessage): string {
  const { remoteAddress, server } = socket as Socket & { readonly server?: { address?(): unknown } };
  if (remoteAddress !== undefined) return plainAddress(remoteAddress);
  // A closed TCP socket has no address either, but its server has a port. On an inherited unix socket, it has null.
  const listening = server?.address?.();
  return listening === null || typeof listening === 'string' ? UNIX : '';
}

/**
 * The client's address: the right-most hop of `X-Forwarded-For` that is no trusted proxy; empty if it is unknown. The
 * header is used only if the peer of the socket is trusted. Hops to the left of the first untrusted one may be forged.
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

/** The address of a hop, which proxies may write with a port (`203.0.113.1:4001`, `[2001:db8::1]:443`). */
function hopAddress(hop: string): string {
  const [, bracketed, dotted] = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d{1,5})?$/.exec(hop) ?? [];
  if (bracketed !== undefined && !isIPv6(bracketed)) return '';
  return plainAddress(bracketed ?? dotted ?? hop);
}

/** Headers in which proxies name the client. */
const FORWARDING = ['x-forwarded-for', 'forwarded', 'x-real-ip'];

/** A warning for the operator if a peer that is no trusted proxy sends the address of a client. */
export function untrustedProxy(request: IncomingMessage, isTrusted: (address: string) => boolean): string | undefined {
  const header = FORWARDING.find((name) => request.headers[name] !== undefined);
  const peer = header === undefined ? '' : peerAddress(request);
  if (peer === '' || isTrusted(peer)) return undefined;
  const [from, effect] = peer === UNIX
    ? ['over a unix socket', 'limits and bans by address do not apply to its clients']
    : [`from ${peer}`, 'limits and bans by address apply to all its clients together'];
  const also = header === 'x-forwarded-for' ? '' : ' and let it send X-Forwarded-For';
  return `ignored the header "${header}" ${from}, which is not in "trustProxy": ${effect}. `
    + `If it is your proxy, create the manager with trustProxy: ['${peer}']${also}`;
}
