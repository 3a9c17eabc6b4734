// What is known: who we are, who is there, and what was said where.

/** Messages that a conversation keeps. */
const MOST = 200;

/** What was said in a room (`kind: 'room'`), or with a user (`kind: 'user'`). */
class Conversation {
  unread = 0;
  /** Whether we are in this room, and how many are. */
  isJoined = false;
  memberCount = 0;
  /** Ids of who types. */
  typing = new Set();
  #messages = new Map();

  constructor(kind, id) {
    this.kind = kind;
    this.id = id;
  }

  /** In the order of their time: `{ id, by, text, time, mark }`. What nobody said has no `by`. */
  get messages() { return [...this.#messages.values()]; }

  get isEmpty() { return this.#messages.size === 0; }

  /** Adds messages, live ones or a history, each once. `false`: all of them were there. */
  add(...messages) {
    const before = this.#messages;
    const fresh = messages.filter(({ id }) => !before.has(id)).map((message) => [message.id, message]);
    const all = [...before, ...fresh].sort(([, a], [, b]) => (a.time < b.time ? -1 : Number(a.time > b.time)));
    this.#messages = new Map(all.slice(-MOST));
    return fresh.length > 0;
  }

  /** Marks one of our own as `delivered` or `read`. */
  mark(messageId, mark) {
    const message = this.#messages.get(messageId);
    if (message) message.mark = mark;
  }
}

export class Chat {
  /** Ids of who is there. */
  online = new Set();
  current;
  #names = new Map();
  #conversations = new Map();

  /** `me`: `{ id, username }`. */
  constructor(me, home) {
    this.me = me;
    this.home = home;
    this.current = this.room(home);
    this.learn({ userId: me.id, username: me.username });
  }

  room(id) { return this.#conversation('room', id); }

  user(id) { return this.#conversation('user', id); }

  get rooms() { return this.#all('room'); }

  /** Those with somebody who is there, and those in which something was said. */
  get talks() {
    for (const id of this.online) if (id !== this.me.id) this.user(id);
    return this.#all('user').filter((talk) => this.online.has(talk.id) || !talk.isEmpty || talk === this.current);
  }

  forget(room) {
    this.#conversations.delete(`room:${room.id}`);
    if (this.current === room) this.current = this.room(this.home);
  }

  /** Takes note of a user's name. Gives the id. */
  learn({ userId, username }) {
    if (username) this.#names.set(userId, username);
    return userId;
  }

  nameOf(userId) { return this.#names.get(userId) ?? 'somebody'; }

  titleOf({ kind, id }) { return kind === 'room' ? `# ${id}` : this.nameOf(id); }

  #all(wanted) { return [...this.#conversations.values()].filter(({ kind }) => kind === wanted); }

  #conversation(kind, id) {
    const key = `${kind}:${id}`;
    if (!this.#conversations.has(key)) this.#conversations.set(key, new Conversation(kind, id));
    return this.#conversations.get(key);
  }
}
