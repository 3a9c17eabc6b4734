/**
 * The beginning of all journal keys of the topic of a channel. Its hash tag keeps the keys in the slot of the channel.
 * A tag is the text between the first `{` and the next `}`. An empty tag does not count.
 */
export const journalKey = (channel: string): string =>
  (/^[^{]*\{[^}]+\}/.test(channel) ? `${channel}:` : `{${channel.replace(/[%}]/g, encodeURIComponent)}}:`);
