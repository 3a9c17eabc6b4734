// The page: connects, and handles input of the user.
import { WebSocketClient } from '/websocket-client.js';
import { announce } from './announcer.js';
import { Chat } from './chat.js';
import { find } from './elements.js';
import { listen, listPeople, listRooms, loadNewest, loadOlder, note, see } from './events.js';
import { scrollToEnd, showLog, showMissed, isAtEnd } from './log.js';
import { createOutbox, reasonOf } from './outbox.js';
import { renew, signIn, signOut, token } from './sign-in.js';
import { showStatus } from './status.js';
import { complain, isMenuOpen, showAll, showHead, showMenu } from './view.js';

/** The room in which every user starts. */
const HOME = 'lobby';
/** Milliseconds between two typing notices. */
const TYPING = 3_000;
/** Milliseconds for which a message waits for a connection. */
const DAY = 86_400_000;
const SESSION_OVER = 'Your session is over. Please sign in again.';

let chat;
let client;
let outbox;
let stop = () => {};

function begin({ user }) {
  chat = new Chat(user, HOME);
  find('me').textContent = user.username;
  client = new WebSocketClient({
    url: `${location.origin.replace('http', 'ws')}/chat`,
    auth: { getToken: token, refreshToken: newToken },
    requestTimeout: 10_000,
    message: { queue: { ttl: DAY } },
    // Where a proxy lets no WebSocket through.
    transport: { polling: true },
  });
  outbox = createOutbox(client, chat, {
    changed: () => showLog(chat),
    failed: (reason) => announce(`Your message was not sent: ${reason}.`),
  });
  const removeStatus = showStatus(client);
  stop = () => {
    outbox.stop();
    removeStatus();
  };
  listen(client, chat);
  client.on('open', () => arrive().catch(report));
  client.on('error', report);
  showAll(chat);
  client.connect().catch(() => { /* the status shows it */ });
}

async function newToken() {
  const newer = await renew();
  // Without a token, the client would connect as anonymous.
  if (newer === undefined) {
    end(SESSION_OVER);
    throw new Error(SESSION_OVER);
  }
  return newer;
}

function end(problem) {
  stop();
  void client.disconnect();
  signOut(problem);
}

/** Shows an error, unless the status of the connection says the same. */
function report(error) {
  if (['CONNECTION_FAILED', 'CONNECTION_CLOSED', 'TOKEN_UNAVAILABLE'].includes(error.code)) return;
  complain(new Error(`${reasonOf(error)}.`.replace(/^./, (letter) => letter.toUpperCase())));
}

// Rooms

/** On a new connection: the client joins our rooms again by itself; the rest may have changed meanwhile. */
async function arrive() {
  complain();
  const rooms = chat.rooms.filter(({ id, isJoined }) => isJoined || id === HOME);
  await Promise.all([...rooms.map(enter), listRooms(client, chat), listPeople(client, chat)]);
}

async function enter(room) {
  const { id } = room;
  if (client.rooms.joined.includes(id)) {
    const { content } = await client.request({ type: 'get-room-info', content: { roomId: id } });
    Object.assign(room, { memberCount: content.memberCount, ...content.owner === chat.me.id && { role: 'owner' } });
  } else {
    const { memberCount, role } = await client.rooms.join(id);
    Object.assign(room, { memberCount, role });
  }
  room.isJoined = client.rooms.joined.includes(id);
  showHead(chat);
  if (room.isJoined) await loadNewest(client, chat, room);
}

async function open(where) {
  chat.current.draft = find('text').value;
  chat.current = where;
  see(client, where);
  complain();
  showMenu(false);
  showMissed(0);
  find('text').value = where.draft;
  showAll(chat);
  find('text').focus();
  try {
    if (where.kind === 'room' && !where.isJoined) await enter(where);
  } catch (error) {
    // The room does not exist, or we may not join it.
    if (where.isEmpty) chat.forget(where);
    showAll(chat);
    report(error);
  }
}

let isLoading = false;

async function older() {
  const { current: room } = chat;
  if (isLoading || !room.hasOlder || !client.isConnected) return;
  isLoading = true;
  find('older').textContent = 'Loading …';
  try {
    await loadOlder(client, chat, room);
  } catch (error) {
    report(error);
  } finally {
    isLoading = false;
    find('older').textContent = 'Load older messages';
  }
}

find('older').addEventListener('click', () => void older());
find('newest').addEventListener('click', scrollToEnd);
let wasAtEnd = true;
find('scroll').addEventListener('scroll', () => {
  wasAtEnd = isAtEnd();
  if (wasAtEnd) showMissed(0);
  if (find('scroll').scrollTop < 200) void older();
}, { passive: true });
// The keyboard of a phone, or a line above the text field, takes some of the height.
new ResizeObserver(() => { if (wasAtEnd) scrollToEnd(); }).observe(find('scroll'));

// Writing

find('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = find('text').value.trim();
  if (!text) return;
  find('text').value = '';
  typedAt = -Infinity;
  complain();
  outbox.send(chat.current, text);
  scrollToEnd();
});

find('text').addEventListener('keydown', (event) => {
  // While a person composes a character, Enter ends the composition.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  find('composer').requestSubmit();
});

let typedAt = -Infinity;
find('text').addEventListener('input', () => {
  if (!client.isConnected || performance.now() - typedAt < TYPING) return;
  typedAt = performance.now();
  const { kind, id } = chat.current;
  if (kind === 'room') client.emit('typing', { roomId: id, isTyping: true });
  else if (chat.online.has(id)) client.emit('private-typing', { to: id, isTyping: true });
});

// Moderation. What can be undone, can be undone at once.

const actions = {
  mute: { type: 'room-mute', done: 'is muted for 10 minutes', more: { duration: 600_000 }, undo: 'room-unmute' },
  kick: { type: 'room-kick', done: 'was removed from the room' },
  ban: { type: 'room-ban', done: 'is banned from the room', undo: 'room-unban' },
};

async function moderate(room, userId, { type, done, more, undo }) {
  const name = chat.nameOf(userId);
  const request = (action, rest) =>
    client.request({ type: action, content: { roomId: room.id, userId, ...rest } });
  try {
    await request(type, more);
  } catch (error) {
    return report(error);
  }
  const run = () => moderate(room, userId, { type: undo, done: 'may take part again' });
  note(chat, room, `${name} ${done}.`, undo && { label: 'Undo', run });
}

find('log').addEventListener('click', ({ target }) => {
  const { action, userId, act } = target.closest('button')?.dataset ?? {};
  const { current } = chat;
  if (action) {
    target.closest('details').open = false;
    void moderate(current, userId, actions[action]);
  }
  if (!act) return;
  const message = current.messages.find(({ key }) => key === target.closest('li').dataset.key);
  if (act === 'undo') {
    void message.undo.run();
    message.undo = undefined;
    target.closest('button').remove();
  } else {
    outbox[act](current, message.id);
    find('text').focus();
  }
});

// Navigation

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
    await client.rooms.leave(room.id);
    room.isJoined = false;
    await open(chat.room(HOME));
  } catch (error) {
    report(error);
  }
});

find('menu').addEventListener('click', () => showMenu(!isMenuOpen()));
document.addEventListener('keydown', ({ key }) => {
  if (key !== 'Escape') return;
  for (const details of document.querySelectorAll('details[open]')) details.open = false;
  if (!isMenuOpen()) return;
  showMenu(false);
  find('menu').focus();
});
document.addEventListener('visibilitychange', () => {
  if (!chat || document.visibilityState === 'hidden') return;
  see(client, chat.current);
  showAll(chat);
});
find('sign-out').addEventListener('click', () => end());

signIn(begin);
