import { isIPv6 } from 'node:net';

/**
 * One key for all addresses that one customer has: an IPv4 address, or the /64 network of an IPv6 address.
 *
 * @example const key = customerKey(connection.ip);
 */
export function customerKey(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail = ''] = address.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === '' ? [] : tail.split(':');
  const gap = address.includes('::') ? Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0') : [];
  const groups = [...front, ...gap, ...back];
  return `${groups.slice(0, 4).map((group) => parseInt(group, 16).toString(16)).join(':')}::/64`;
}
