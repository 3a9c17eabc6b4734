import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv6, SocketAddress } from 'node:net';

/** Whether an address is in one of these networks, given as addresses or in CIDR notation. */
export function networks(list: readonly string[]): (address: string) => boolean {
  if (list.length === 0) return () => false;
  const block = new BlockList();
  for (const network of list) {
    const [address = '', prefix] = network.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (prefix === undefined) block.addAddress(address, family);
    else block.addSubnet(address, Number(prefix), family);
  }
  return (address) => isIP(address) !== 0 && block.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

const MAPPED = /^::ffff:\d+\.\d+\.\d+\.\d+$/;

/**
 * An address in one form: IPv4 mapped into IPv6 (`::ffff:10.0.0.1`) is the IPv4 address it stands for, zones are cut.
 */
export function plainAddress(address: string): string {
  // As the operating system tells it of nearly everybody.
  if (!/[:%]/.test(address)) return address;
  if (MAPPED.test(address)) return address.slice('::ffff:'.length);
  const [bare = ''] = address.split('%', 1);
  // SocketAddress writes one of many spellings, and a mapped address with dots.
  const written = isIPv6(bare) ? new SocketAddress({ address: bare, family: 'ipv6' }).address : bare;
  return MAPPED.test(written) ? written.slice('::ffff:'.length) : written;
}

/**
 * The client's address: the right-most hop of `X-Forwarded-For` that is no trusted proxy. The header counts only when
 * the socket's own peer is trusted; whatever stands left of the first untrusted hop is hearsay.
 */
export function clientAddress(request: IncomingMessage, isTrusted: (address: string) => boolean): string {
  let client = plainAddress(request.socket.remoteAddress ?? '');
  if (!isTrusted(client)) return client;
  const header = request.headers['x-forwarded-for'];
  const hops = (Array.isArray(header) ? header.join(',') : header ?? '').split(',');
  while (isTrusted(client)) {
    const hop = plainAddress((hops.pop() ?? '').trim());
    if (!isIP(hop)) break;
    client = hop;
  }
  return client;
}
