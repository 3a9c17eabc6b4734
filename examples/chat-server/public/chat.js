// The state of the page: our user, who is online, and the conversations.
import { Conversation } from './conversation.js';

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

  get all() { return [...this.#conversations.values()]; }

  get rooms() { return this.all.filter(({ kind }) => kind === 'room'); }

  /** Private conversations with users that are online, and those that have messages. */
  get talks() {
    for (const id of this.online) if (id !== this.me.id) this.user(id);
    const isShown = (talk) => this.online.has(talk.id) || !talk.isEmpty || talk === this.current;
    return this.all.filter((talk) => talk.kind === 'user' && isShown(talk));
  }

  get unread() { return this.all.reduce((sum, { unread }) => sum + unread, 0); }

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

  #conversation(kind, id) {
    const key = `${kind}:${id}`;
    if (!this.#conversations.has(key)) this.#conversations.set(key, new Conversation(kind, id));
    return this.#conversations.get(key);
  }
}
