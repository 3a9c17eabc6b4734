// A room (`kind: 'room'`), or a private conversation with a user (`kind: 'user'`), and its messages.

/** Messages that a conversation keeps. Older ones are loaded again when they are wanted. */
const MAX_MESSAGES = 1_000;

/** States of our own messages that the server has not confirmed. */
const PENDING = ['queued', 'sending', 'failed'];

export const isPending = ({ state }) => PENDING.includes(state);

export class Conversation {
  unread = 0;
  /** Whether we are a member of this room, and its number of members. */
  isJoined = false;
  memberCount = 0;
  /** Our role in this room. */
  role;
  /** Ids of the users that are typing. */
  typing = new Set();
  /** The text that was written here and not sent. */
  draft = '';
  /** Whether the server has messages before the first one. */
  hasOlder = false;
  #messages = [];

  constructor(kind, id) {
    this.kind = kind;
    this.id = id;
  }

  /**
   * In the order of their time, pending ones last: `{ key, id, by, text, time, offset, state, problem }`. The key never
   * changes; the id is that of the server. Notices have no `by`, and may have `undo: { label, run }`.
   */
  get messages() { return this.#messages; }

  get isEmpty() { return this.#messages.length === 0; }

  /** The offset of the first message that the server keeps. */
  get firstOffset() { return this.#messages.find(({ offset }) => offset !== undefined)?.offset; }

  /** Whether we may mute, remove and ban members here. */
  get mayModerate() {
    return this.kind === 'room' && this.isJoined && ['owner', 'admin', 'moderator'].includes(this.role);
  }

  find(id) { return this.#messages.find((message) => message.id === id); }

  /** Adds a message. `false`: it was known. */
  add(message) {
    if (this.find(message.id)) return false;
    // The echo of a message that we are sending. The confirmation may still be on its way.
    const own = this.#messages.find(({ state, text }) => state === 'sending' && text === message.text);
    if (own && message.isOwn) Object.assign(own, message, { key: own.key, state: 'sent' });
    else this.#messages.push({ key: message.id, ...message });
    this.#sort();
    return true;
  }

  /**
   * Adds the newest messages that the server keeps. Where they do not continue ours, ours are dropped: scrolling up
   * loads them again.
   */
  addNewest(page, hasOlder) {
    const continues = page.some(({ id }) => this.find(id));
    if (!continues) {
      this.#messages = this.#messages.filter(({ offset }) => offset === undefined);
      this.hasOlder = hasOlder;
    }
    for (const message of page) this.add(message);
  }

  addOlder(page, hasOlder) {
    for (const message of page) this.add(message);
    this.hasOlder = hasOlder;
  }

  /** The server has our message, under an id of its own. */
  confirm(localId, id) {
    const message = this.find(localId);
    if (!message) return;
    if (this.find(id)) this.remove(localId);
    else Object.assign(message, { id, state: 'sent' });
    this.#sort();
  }

  remove(id) { this.#messages = this.#messages.filter((message) => message.id !== id); }

  #sort() {
    const at = (message) => (isPending(message) ? Infinity : Date.parse(message.time));
    const compare = (a, b) => (at(a) === at(b) ? 0 : at(a) - at(b));
    this.#messages.sort(compare);
    if (this.#messages.length <= MAX_MESSAGES) return;
    this.#messages = this.#messages.slice(-MAX_MESSAGES);
    this.hasOlder = this.kind === 'room';
  }
}
