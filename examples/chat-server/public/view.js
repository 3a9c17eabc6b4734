// Shows the conversations, and the head of the current one.
import { avatar, element, find, hidden } from './elements.js';
import { showLog } from './log.js';

export function showAll(chat) {
  showHead(chat);
  showSidebar(chat);
  showLog(chat);
  showTyping(chat);
}

/** Shows an error until the next call. Without an error, shows none. */
export function complain(error) {
  find('problem').textContent = error?.message ?? '';
}

/** On a small screen: shows the list of conversations, or one conversation. */
export function showMenu(isOpen) {
  find('menu').setAttribute('aria-expanded', String(isOpen));
  find('chat').classList.toggle('menu-open', isOpen);
}

export const isMenuOpen = () => find('chat').classList.contains('menu-open');

export function showHead(chat) {
  const { kind, id, isJoined, memberCount } = chat.current;
  const title = chat.titleOf(chat.current);
  find('title').textContent = title;
  find('leave').hidden = kind === 'user' || !isJoined || id === chat.home;
  find('text').placeholder = `Message ${title}`;
  const people = memberCount === 1 ? '1 person' : `${memberCount} people`;
  const presence = chat.online.has(id) ? 'Private · online' : 'Private · offline';
  find('members').textContent = kind === 'user' ? presence : isJoined ? people : '';
}

export function showSidebar(chat) {
  const { rooms, talks, online, unread } = chat;
  document.title = unread > 0 ? `(${unread}) Chat` : 'Chat';
  find('menu').ariaLabel = `Rooms and people${unread > 0 ? `, ${unread} unread` : ''}`;
  find('menu-unread').textContent = unread || '';
  find('rooms').replaceChildren(...rooms.map((room) => entry(chat, room, element('span', { className: 'sign' }, '#'))));
  const isOffline = ({ id }) => !online.has(id);
  find('people').replaceChildren(...talks.toSorted((a, b) => isOffline(a) - isOffline(b)).map((talk) =>
    entry(chat, talk, avatar(talk.id, chat.nameOf(talk.id)), isOffline(talk) ? 'offline' : '')));
  find('alone').hidden = talks.length > 0;
}

function entry(chat, conversation, picture, remark = '') {
  const { kind, id, unread } = conversation;
  const name = element('span', { className: 'name' }, kind === 'room' ? id : chat.titleOf(conversation));
  const button = element('button', { type: 'button', dataset: { kind, id } }, picture, name);
  if (remark) button.append(element('span', { className: 'quiet' }, remark));
  if (unread > 0) button.append(element('span', { className: 'unread' }, unread, hidden(' unread')));
  if (conversation === chat.current) button.setAttribute('aria-current', 'true');
  return element('li', {}, button);
}

export function showTyping(chat) {
  const names = [...chat.current.typing].map((id) => chat.nameOf(id));
  const several = names.length > 2 ? 'Several people are typing …' : `${names.join(' and ')} are typing …`;
  find('typing').textContent = names.length === 0 ? '' : names.length === 1 ? `${names[0]} is typing …` : several;
}
