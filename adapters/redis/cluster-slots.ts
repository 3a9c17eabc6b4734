/** The number of slots of a Redis Cluster. */
export const SLOTS = 16_384;

/** The remainders of CRC-16 (XMODEM, polynomial 0x1021) for each byte. */
const REMAINDERS = Uint16Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte << 8;
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 0x80_00 ? (remainder << 1) ^ 0x10_21 : remainder << 1;
  return remainder;
});

/**
 * The slot of a key or a channel, as in the cluster specification of Redis. A hash tag is the text between the first
 * `{` of a name and the next `}`. If a name has a hash tag that is not empty, only the hash tag counts.
 */
export function slotOf(name: string): number {
  const open = name.indexOf('{');
  const close = open < 0 ? -1 : name.indexOf('}', open + 1);
  const counted = close > open + 1 ? name.slice(open + 1, close) : name;
  let crc = 0;
  for (const byte of Buffer.from(counted)) crc = ((crc << 8) & 0xff_ff) ^ REMAINDERS[(crc >> 8) ^ byte]!;
  return crc % SLOTS;
}
