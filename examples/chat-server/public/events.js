// Handles the messages of the server.
import { announce } from './announcer.js';
import { showLog, timeOf } from './log.js';
import { complain, showAll, showHead, showSidebar, showTyping } from './view.js';

/** Messages that are asked for at once. */
const PAGE = 50;

let notes = 0;

/** Adds a notice to a conversation. `undo`: `{ label, run }`. */
export function note(chat, where, text, undo) {
  where.add({ id: `note-${++notes}`, text, time: new Date().toISOString(), undo });
  showLog(chat);
}

/** Marks the messages of a conversation as read, if the user sees the page. */
export function see(client, where) {
  if (document.visibilityState === 'hidden') return;
  if (where.kind === 'user' && where.unread > 0) {
    const unread = where.messages.filter(({ by }) => by === where.id).slice(-where.unread);
    for (const { id } of unread) client.emit('message-read', { messageId: id });
  }
  where.unread = 0;
}

/** A message of a room as the page keeps it. Deleted ones have no content. */
const roomMessage = (chat, { id, timestamp, offset, content: { content, ...user } }) => {
  const by = chat.learn(user);
  return { id, by, text: content, time: timestamp, offset, isOwn: by === chat.me.id };
};

const pageOf = (chat, { messages }) =>
  messages.filter(({ type }) => type === 'chat-message').map((message) => roomMessage(chat, message));

/** Loads the last messages of a room: when we join, and what we missed. */
export async function loadNewest(client, chat, room) {
  try {
    const page = await client.history({ roomId: room.id, limit: PAGE });
    room.addNewest(pageOf(chat, page), page.more);
  } catch (error) {
    // A server without a history, as with several processes.
    if (error.code !== 'TYPE_NOT_ALLOWED' && error.code !== 'UNKNOWN_TYPE') throw error;
  }
  showLog(chat);
}

/** Loads the messages before the first one. */
export async function loadOlder(client, chat, room) {
  const page = await client.history({ roomId: room.id, before: room.firstOffset, limit: PAGE });
  room.addOlder(pageOf(chat, page), page.more);
  showLog(chat);
}

export async function listRooms(client, chat) {
  const { content: { rooms } } = await client.request({ type: 'get-rooms' });
  for (const { id } of rooms) chat.room(id);
  showSidebar(chat);
}

export async function listPeople(client, chat) {
  const { content: { users } } = await client.request({ type: 'get-online-users' });
  chat.online = new Set(users.map((user) => chat.learn(user)));
  showHead(chat);
  showSidebar(chat);
}

/** Adds the listeners. */
export function listen(client, chat) {
  const noteIn = (roomId, text) => note(chat, chat.room(roomId), text);

  function said(where, message) {
    where.typing.delete(message.by);
    if (where.add(message) && message.by !== chat.me.id) {
      where.unread++;
      if (where === chat.current) {
        announce(`${chat.nameOf(message.by)}: ${message.text}`);
        see(client, where);
      }
    }
    showAll(chat);
  }

  function moved({ roomId, memberCount, ...user }, what) {
    const room = chat.room(roomId);
    room.memberCount = memberCount;
    room.typing.delete(user.userId);
    note(chat, room, `${chat.nameOf(chat.learn(user))} ${what}.`);
    showHead(chat);
  }

  /** Many joined or left at once. */
  function allMoved({ users, ...rest }, what) {
    for (const user of users) moved({ ...rest, ...user }, what);
  }

  function typing(where, isTyping, user) {
    where.typing[isTyping ? 'add' : 'delete'](chat.learn(user));
    showTyping(chat);
  }

  function changed({ users, more }, what) {
    for (const user of users) chat.online[what](chat.learn(user));
    if (more > 0) listPeople(client, chat).catch(complain);
    showHead(chat);
    showSidebar(chat);
  }

  function mark({ by, messageId }, state) {
    const message = chat.user(by).find(messageId);
    // A receipt may come late.
    if (message && message.state !== 'read') message.state = state;
    showLog(chat);
  }

  function putOut(roomId, text) {
    const room = chat.room(roomId);
    room.isJoined = false;
    note(chat, room, text);
    showHead(chat);
  }

  const handlers = {
    'chat-message': ({ roomId }, message) => said(chat.room(roomId), roomMessage(chat, message)),
    'private-message': ({ from, to, content }, { id, timestamp }) => {
      const isOwn = from === chat.me.id;
      said(chat.user(isOwn ? to : from), { id, by: from, text: content, time: timestamp, isOwn });
      if (!isOwn) client.emit('message-delivered', { messageId: id });
    },
    'message-delivered': (receipt) => mark(receipt, 'delivered'),
    'message-read': (receipt) => mark(receipt, 'read'),
    'user-joined': (content) => moved(content, 'joined'),
    'user-left': (content) => moved(content, 'left'),
    'users-joined': (content) => allMoved(content, 'joined'),
    'users-left': (content) => allMoved(content, 'left'),
    'user-renamed': (user) => {
      chat.learn(user);
      showAll(chat);
    },
    'user-typing': ({ roomId, isTyping, ...user }) => typing(chat.room(roomId), isTyping, user),
    'private-typing': ({ from, isTyping, username }) => {
      if (from !== chat.me.id) typing(chat.user(from), isTyping, { userId: from, username });
    },
    'user-online': (changes) => changed(changes, 'add'),
    'user-offline': (changes) => changed(changes, 'delete'),
    'room-created': ({ roomId }) => {
      chat.room(roomId);
      showSidebar(chat);
    },
    'room-deleted': ({ roomId }) => {
      chat.forget(chat.room(roomId));
      showAll(chat);
    },
    'messages-missed': ({ topic }) => {
      const room = chat.room(topic.replace(/^room:/, ''));
      loadNewest(client, chat, room).catch(complain);
    },
    'system-message': ({ roomId, content }) => noteIn(roomId, content),
    'server-shutdown': ({ message }) => note(chat, chat.current, message),
    'warning': ({ roomId, warningCount, maxWarnings }) =>
      noteIn(roomId, `Your message has banned words: warning ${warningCount} of ${maxWarnings}.`),
    'muted': ({ roomId, until }) => noteIn(roomId, `You are muted until ${timeOf(until)}.`),
    'unmuted': ({ roomId }) => noteIn(roomId, 'You are no longer muted.'),
    'role-changed': ({ roomId, role }) => {
      chat.room(roomId).role = role;
      noteIn(roomId, `Your role is now ${role}.`);
    },
    'kicked': ({ roomId }) => putOut(roomId, 'You were removed from this room.'),
    'banned': ({ roomId }) => putOut(roomId, 'You were banned from this room.'),
  };
  for (const [type, handler] of Object.entries(handlers)) client.on(type, handler);
}
