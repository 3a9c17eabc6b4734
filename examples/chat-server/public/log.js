// Shows the messages of the current conversation. Lines that are there stay, so that nothing jumps and focus is kept.
import { avatar, element, find, hidden } from './elements.js';

/** Messages of one user within this time follow each other without the name. */
const TOGETHER = 5 * 60_000;

const WORDS = {
  queued: 'Waiting for the connection', sending: 'Sending …', sent: 'Sent', delivered: 'Delivered', read: 'Read',
};

let shown;
/** Messages that came while the user was reading older ones. */
let missed = 0;

export const timeOf = (time) => new Date(time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });

export const isAtEnd = () => {
  const { scrollHeight, scrollTop, clientHeight } = find('scroll');
  return scrollHeight - scrollTop - clientHeight < 80;
};

export function scrollToEnd() {
  find('scroll').scrollTop = find('scroll').scrollHeight;
  showMissed(0);
}

export function showMissed(count) {
  missed = count;
  find('newest').hidden = count === 0;
  find('newest').textContent = count === 1 ? '↓ 1 new message' : `↓ ${count} new messages`;
}

export function showLog(chat) {
  const [scroll, log] = ['scroll', 'log'].map(find);
  const isOther = shown !== chat.current;
  const isFollowed = isOther || isAtEnd();
  const fromEnd = scroll.scrollHeight - scroll.scrollTop;
  const [firstKey, lastKey] = [log.firstElementChild, log.lastElementChild].map((item) => item?.dataset.key);
  if (isOther) log.replaceChildren();
  shown = chat.current;

  const present = new Map([...log.children].map((item) => [item.dataset.key, item]));
  const lines = withDays(shown.messages);
  const lastOwn = shown.messages.findLast(({ by }) => by === chat.me.id);
  lines.forEach((message, index) => {
    const item = present.get(message.key) ?? line(chat, message);
    present.delete(message.key);
    item.classList.toggle('follows', follows(message, lines[index - 1]));
    if (message.by === chat.me.id) showState(item, message, message === lastOwn);
    if (log.children[index] !== item) log.insertBefore(item, log.children[index] ?? null);
  });
  for (const item of present.values()) item.remove();
  log.classList.toggle('may-moderate', shown.mayModerate);
  showStart(chat);

  if (isFollowed) return scrollToEnd();
  // What was loaded at the top must not move what is being read.
  const hasGrownAbove = firstKey !== log.firstElementChild?.dataset.key;
  if (hasGrownAbove) scroll.scrollTop = scroll.scrollHeight - fromEnd;
  const { key, by } = shown.messages.at(-1) ?? {};
  if (key !== lastKey && by !== undefined && by !== chat.me.id) showMissed(missed + 1);
}

function showStart(chat) {
  const { kind, hasOlder, isEmpty, isJoined } = chat.current;
  find('older').hidden = !hasOlder;
  find('beginning').hidden = hasOlder || (kind === 'room' && !isJoined);
  find('beginning-title').textContent = kind === 'room'
    ? `This is the beginning of ${chat.titleOf(chat.current)}`
    : `You and ${chat.titleOf(chat.current)}`;
  const wave = isEmpty ? ' Say hello!' : '';
  find('beginning-text').textContent = kind === 'room'
    ? `Everyone in the room can read what you write.${wave}`
    : `Only the two of you can read this. It is gone when you close this page.${wave}`;
}

/** Adds a line for each day. */
function withDays(messages) {
  let day = new Date().toDateString();
  return messages.flatMap((message) => {
    const own = new Date(message.time).toDateString();
    if (own === day) return [message];
    day = own;
    return [{ key: `day ${own}`, text: dayOf(message.time), isDay: true }, message];
  });
}

const dayOf = (time) => new Date(time).toLocaleDateString([], { weekday: 'long', day: 'numeric', month: 'long' });

const follows = (message, before) => message.by !== undefined && message.by === before?.by
  && Date.parse(message.time) - Date.parse(before.time) < TOGETHER;

function line(chat, { key, by, text, time, undo }) {
  if (by === undefined) {
    const note = element('li', { className: 'note', dataset: { key } }, text);
    if (undo) note.append(' ', element('button', { type: 'button', dataset: { act: 'undo' } }, undo.label));
    return note;
  }
  const isOwn = by === chat.me.id;
  const name = chat.nameOf(by);
  const head = element('div', { className: 'by' },
    element('b', {}, isOwn ? 'You' : name), element('time', { dateTime: time }, timeOf(time)));
  if (!isOwn) head.append(moderation(by, name));
  const body = element('div', { className: 'body' }, head, element('div', { className: 'text' }, text));
  const item = element('li', { className: isOwn ? 'own' : '', dataset: { key } });
  if (isOwn) body.append(element('div', { className: 'state' }));
  else item.append(avatar(by, name));
  item.append(body);
  return item;
}

/** The state of our own message. When it has arrived, it is shown for the last one only. */
function showState(item, { state = 'sent', problem, time }, isLast) {
  const wanted = `${state} ${isLast} ${problem} ${time}`;
  if (item.dataset.state === wanted) return;
  item.dataset.state = wanted;
  item.classList.toggle('pending', state === 'queued' || state === 'sending');
  item.classList.toggle('failed', state === 'failed');
  item.querySelector('time').textContent = timeOf(time);
  const act = (name, label) => element('button', { type: 'button', dataset: { act: name } }, label);
  const parts = [];
  if (state === 'failed') parts.push(`Not sent: ${problem}. `, act('retry', 'Try again'), act('cancel', 'Delete'));
  else if (state === 'queued') parts.push(WORDS[state], act('cancel', 'Delete'));
  else if (state === 'sending' || isLast) parts.push(WORDS[state]);
  item.querySelector('.state').replaceChildren(...parts);
}

/** The actions of a moderator on the author of a message. Shown only to moderators. */
function moderation(userId, name) {
  const choice = (action, label) =>
    element('button', { type: 'button', dataset: { action, userId } }, label, hidden(` ${name}`));
  const summary = element('summary', { title: 'Moderate' }, '⋯', hidden(`Moderate ${name}`));
  const choices = element('div', {}, choice('mute', 'Mute'), choice('kick', 'Remove'), choice('ban', 'Ban'));
  return element('details', { className: 'actions' }, summary, choices);
}
