// Reads new messages out to users of screen readers: politely, and one text for all that come at once.
import { find } from './elements.js';

/** Milliseconds in which messages count as one burst. */
const BURST = 800;

let waiting = [];
let timer;

export function announce(text) {
  waiting.push(text);
  timer ??= setTimeout(speak, BURST);
}

function speak() {
  const count = waiting.length;
  const last = waiting.at(-1);
  find('announcer').textContent = count === 1 ? last : `${count} new messages. The last one: ${last}`;
  waiting = [];
  timer = undefined;
}
