/** A line of chat. */
export const CHAT = { room: 'lobby', text: 'The quick brown fox jumps over the lazy dog.' };

const SYMBOLS = ['AAPL', 'MSFT', 'GOOG', 'AMZN', 'NVDA', 'META', 'TSLA', 'ORCL', 'INTC', 'IBM'];

/** 4 KB of JSON: a table of prices. */
export const PRICES = {
  quotes: Array.from({ length: 52 }, (_, index) => {
    // Digits that repeat as little as real ones do.
    const noise = (index * 7_919 + 104_729) % 10_007;
    const symbol = SYMBOLS[index % SYMBOLS.length];
    const [bid, ask] = [(10_000 + noise) / 100, (10_005 + noise) / 100];
    return { symbol, bid, ask, size: noise * 10, at: 1_767_225_600_000 + index * 137 };
  }),
};
