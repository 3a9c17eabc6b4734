// The page: handles messages of the server, and input of the user.
import { Chat } from './chat.js';
import { Connection } from './connection.js';
import { signIn, signOut } from './sign-in.js';
import { complain, find, showAll, showHead, showLog, showMenu, showSidebar, showTyping, timeOf } from './view.js';

/** The room in which every user starts. */
const HOME = 'lobby';
/** Milliseconds between two typing notices. */
const TYPING = 3_000;

let chat;
let connection;

function begin({ token, user }) {
  chat = new Chat(user, HOME);
  find('me').textContent = user.username;
  showAll(chat);
  const url = `${location.protocol.replace('http', 'ws')}//${location.host}/chat`;
  connection = new Connection(url, token, { state: stateChanged, message: received, ended });
  connection.open();
}

function end(problem) {
  connection.close();
  signOut(problem);
}

// The connection

function stateChanged(state) {
  find('state').textContent = state;
  find('state').className = state === 'online' ? 'pill good' : 'pill';
  find('send').disabled = state !== 'online';
  if (state === 'online') {
    complain();
    arrive().catch(complain);
  }
}

/** Joins our rooms, for the first time or after a reconnect. */
async function arrive() {
  const rooms = chat.rooms.filter(({ id, isJoined }) => isJoined || id === HOME);
  for (const room of rooms) room.isJoined = false;
  await Promise.all([...rooms.map(join), listRooms(), listPeople()]);
}

function ended({ code, reason }) {
  if (code === 4001) return end('Your session is over. Please sign in again.');
  find('state').textContent = 'disconnected';
  const cause = reason ? ` (${reason})` : '';
  complain(new Error(`The server ended the connection${cause}. Reload the page to connect again.`));
}

async function listRooms() {
  const { rooms } = await connection.request('get-rooms');
  for (const { id } of rooms) chat.room(id);
  showSidebar(chat);
}

async function listPeople() {
  const { users } = await connection.request('get-online-users');
  chat.online = new Set(users.map((user) => chat.learn(user)));
  showSidebar(chat);
}

async function join(room) {
  const { memberCount, role } = await connection.request('join-room', { roomId: room.id });
  Object.assign(room, { isJoined: true, memberCount, role });
  showHead(chat);
  showLog(chat);
}

// Messages of the server

const handlers = {
  'chat-message': ({ roomId }, message) => said(chat.room(roomId), roomMessage(message)),
  'message-history': ({ roomId, messages }) => {
    chat.room(roomId).add(...messages.map(roomMessage));
    showLog(chat);
  },
  'private-message': ({ from, to, content }, { id, timestamp }) => {
    said(chat.user(from === chat.me.id ? to : from), { id, by: from, text: content, time: timestamp });
    if (from !== chat.me.id) connection.say('message-delivered', { messageId: id });
  },
  'message-delivered': ({ by, messageId }) => mark(by, messageId, 'delivered'),
  'message-read': ({ by, messageId }) => mark(by, messageId, 'read'),
  'user-joined': (content) => moved(content, 'joined'),
  'user-left': (content) => moved(content, 'left'),
  'users-joined': (content) => allMoved(content, 'joined'),
  'users-left': (content) => allMoved(content, 'left'),
  'user-renamed': (user) => {
    chat.learn(user);
    showAll(chat);
  },
  'user-typing': ({ roomId, isTyping, ...user }) => {
    chat.room(roomId).typing[isTyping ? 'add' : 'delete'](chat.learn(user));
    showTyping(chat);
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
  'system-message': ({ roomId = HOME, content }) => note(chat.room(roomId), content),
  'server-shutdown': ({ message }) => note(chat.current, message),
  'warning': ({ roomId, warningCount, maxWarnings }) =>
    note(chat.room(roomId), `Your message has banned words: warning ${warningCount} of ${maxWarnings}.`),
  'muted': ({ roomId, until }) => note(chat.room(roomId), `You are muted until ${timeOf(until)}.`),
  'unmuted': ({ roomId }) => note(chat.room(roomId), 'You are no longer muted.'),
  'role-changed': ({ roomId, role }) => {
    chat.room(roomId).role = role;
    note(chat.room(roomId), `Your role is now ${role}.`);
  },
  'kicked': ({ roomId }) => putOut(chat.room(roomId), 'You were removed from this room.'),
  'banned': ({ roomId }) => putOut(chat.room(roomId), 'You were banned from this room.'),
  'error': (error) => complain(error),
};

function received(message) {
  if (Object.hasOwn(handlers, message.type)) handlers[message.type](message.content, message);
}

const roomMessage = ({ id, timestamp, content: { content, ...user } }) =>
  ({ id, by: chat.learn(user), text: content, time: timestamp });

function said(where, message) {
  where.typing.delete(message.by);
  const isNew = where.add(message);
  if (isNew && message.by !== chat.me.id) {
    where.unread++;
    if (where === chat.current) see(where);
  }
  showAll(chat);
}

/** Marks the messages of a conversation as read. */
function see(where) {
  if (where.kind === 'user' && where.unread > 0) {
    const unread = where.messages.filter(({ by }) => by === where.id).slice(-where.unread);
    for (const { id } of unread) connection.say('message-read', { messageId: id });
  }
  where.unread = 0;
}

let notes = 0;

function note(where, text) {
  where.add({ id: `note-${++notes}`, text, time: new Date().toISOString() });
  showLog(chat);
}

/** Many joined or left at once. */
function allMoved({ users, ...rest }, what) {
  for (const user of users) moved({ ...rest, ...user }, what);
}

function moved({ roomId, memberCount, ...user }, what) {
  const room = chat.room(roomId);
  room.memberCount = memberCount;
  room.typing.delete(user.userId);
  note(room, `${chat.nameOf(chat.learn(user))} ${what}.`);
  showHead(chat);
}

function changed({ users, more }, what) {
  for (const user of users) chat.online[what](chat.learn(user));
  if (more > 0) listPeople().catch(complain);
  showSidebar(chat);
}

function mark(by, messageId, text) {
  chat.user(by).mark(messageId, text);
  showLog(chat);
}

function putOut(room, text) {
  room.isJoined = false;
  note(room, text);
  showHead(chat);
}

// Input of the user

async function open(where) {
  chat.current = where;
  see(where);
  complain();
  showMenu(false);
  showAll(chat);
  find('text').focus();
  try {
    if (where.kind === 'room' && !where.isJoined) await join(where);
  } catch (error) {
    // The room does not exist, or we may not join it.
    chat.forget(where);
    showAll(chat);
    complain(error);
  }
}

find('composer').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { current: where, me } = chat;
  const text = find('text').value.trim();
  if (!text) return;
  try {
    if (where.kind === 'room') await connection.request('chat-message', { roomId: where.id, content: text });
    else {
      const { messageId } = await connection.request('private-message', { to: where.id, content: text });
      said(where, { id: messageId, by: me.id, text, time: new Date().toISOString() });
    }
    // Keeps text that was typed meanwhile.
    if (find('text').value.trim() === text) find('text').value = '';
    complain();
  } catch (error) {
    complain(error);
  }
});

// While offline, the button is disabled and the browser submits nothing, so this explains why.
find('text').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || !find('send').disabled) return;
  complain(new Error('You are offline. Your message stays here; send it when you are online again.'));
});

const actions = {
  mute: { type: 'room-mute', done: 'is muted for 10 minutes', more: { duration: 600_000 } },
  kick: { type: 'room-kick', done: 'was removed from the room' },
  ban: { type: 'room-ban', done: 'is banned from the room' },
};

find('log').addEventListener('click', async ({ target }) => {
  const button = target.closest('button[data-action]');
  if (!button) return;
  const { action, userId } = button.dataset;
  const { type, done, more } = actions[action];
  button.closest('details').open = false;
  const room = chat.current;
  try {
    await connection.request(type, { roomId: room.id, userId, ...more });
    note(room, `${chat.nameOf(userId)} ${done}.`);
    complain();
  } catch (error) {
    complain(error);
  }
});

let typedAt = -Infinity;
find('text').addEventListener('input', () => {
  if (chat.current.kind !== 'room' || performance.now() - typedAt < TYPING) return;
  typedAt = performance.now();
  connection.say('typing', { roomId: chat.current.id, isTyping: true });
});

find('sidebar').addEventListener('click', ({ target }) => {
  const { kind, id } = target.closest('button[data-id]')?.dataset ?? {};
  if (id) void open(chat[kind](id));
});

find('join').addEventListener('submit', (event) => {
  event.preventDefault();
  void open(chat.room(find('room').value.trim()));
  find('room').value = '';
});

find('leave').addEventListener('click', async () => {
  const room = chat.current;
  try {
    await connection.request('leave-room', { roomId: room.id });
    room.isJoined = false;
    await open(chat.room(HOME));
  } catch (error) {
    complain(error);
  }
});

find('menu').addEventListener('click', () => showMenu(find('menu').getAttribute('aria-expanded') !== 'true'));
find('sign-out').addEventListener('click', () => end());
window.addEventListener('online', () => connection?.hurry());

signIn(begin);
