// The state of the page: our user, who is online, and the conversations.

/** Messages that a conversation keeps. */
const MAX_MESSAGES = 200;

/** A room (`kind: 'room'`), or a private conversation with a user (`kind: 'user'`). */
class Conversation {
  unread = 0;
  /** Whether we are a member of this room, and its number of members. */
  isJoined = false;
  memberCount = 0;
  /** Our role in this room. */
  role;
  /** Ids of the users that are typing. */
  typing = new Set();
  #messages = new Map();

  constructor(kind, id) {
    this.kind = kind;
    this.id = id;
  }

  /** In the order of their time: `{ id, by, text, time, mark }`. Notices have no `by`. */
  get messages() { return [...this.#messages.values()]; }

  /** Whether we may mute, remove and ban members here. */
  get mayModerate() {
    return this.kind === 'room' && this.isJoined && ['owner', 'admin', 'moderator'].includes(this.role);
  }

  get isEmpty() { return this.#messages.size === 0; }

  /** Adds messages, live ones or a history, each once. `false`: all of them were known. */
  add(...messages) {
    const before = this.#messages;
    const fresh = messages.filter(({ id }) => !before.has(id)).map((message) => [message.id, message]);
    const all = [...before, ...fresh].sort(([, a], [, b]) => (a.time < b.time ? -1 : Number(a.time > b.time)));
    this.#messages = new Map(all.slice(-MAX_MESSAGES));
    return fresh.length > 0;
  }

  /** Marks one of our own as `delivered` or `read`. */
  mark(messageId, mark) {
    const message = this.#messages.get(messageId);
    if (message) message.mark = mark;
  }
}

export class Chat {
  /** Ids of the users that are online. */
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

  /** Private conversations with users that are online, and those that have messages. */
  get talks() {
    for (const id of this.online) if (id !== this.me.id) this.user(id);
    return this.#all('user').filter((talk) => this.online.has(talk.id) || !talk.isEmpty || talk === this.current);
  }

  forget(room) {
    this.#conversations.delete(`room:${room.id}`);
    if (this.current === room) this.current = this.room(this.home);
  }

  /** Remembers a user's name. Returns the id. */
  learn({ userId, username }) {
    if (username) this.#names.set(userId, username);
    return userId;
  }

  nameOf(userId) { return this.#names.get(userId) ?? 'Unknown user'; }

  titleOf({ kind, id }) { return kind === 'room' ? `# ${id}` : this.nameOf(id); }

  #all(wanted) { return [...this.#conversations.values()].filter(({ kind }) => kind === wanted); }

  #conversation(kind, id) {
    const key = `${kind}:${id}`;
    if (!this.#conversations.has(key)) this.#conversations.set(key, new Conversation(kind, id));
    return this.#conversations.get(key);
  }
}
