/** A longer timeout than this would fire at once. */
export const limited = (milliseconds: number): number => Math.min(milliseconds, 2 ** 31 - 1);
