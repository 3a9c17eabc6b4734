/**
 * The beginning of all keys for the topic of a channel. It has a hash tag that keeps them in the slot of the channel.
 * A tag is the text between the first `{` and the next `}`, and counts only if it is not empty.
 */
export const journalKey = (channel: string): string =>
  (/^[^{]*\{[^}]+\}/.test(channel) ? `${channel}:` : `{${channel.replace(/[%}]/g, encodeURIComponent)}}:`);
