// Shows the state of the page. Text of other users is set as text, never as markup.

export const find = (id) => document.getElementById(id);

export const timeOf = (time) => new Date(time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });

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

export function showHead(chat) {
  const { kind, id, isJoined, memberCount } = chat.current;
  find('title').textContent = chat.titleOf(chat.current);
  find('members').textContent = kind === 'user' ? 'private' : isJoined ? `${memberCount} here` : '';
  find('leave').hidden = kind === 'user' || !isJoined || id === chat.home;
}

export function showSidebar(chat) {
  const { rooms, talks, online } = chat;
  const unread = [...rooms, ...talks].reduce((sum, conversation) => sum + conversation.unread, 0);
  find('menu').textContent = unread > 0 ? `☰ Menu (${unread})` : '☰ Menu';
  find('menu').ariaLabel = `Menu: rooms and people${unread > 0 ? `, ${unread} unread` : ''}`;
  find('rooms').replaceChildren(...rooms.map((room) => entry(chat, room)));
  find('people').replaceChildren(...talks.map((talk) => entry(chat, talk, online.has(talk.id) ? '' : 'offline')));
  find('alone').hidden = talks.length > 0;
}

function entry(chat, conversation, remark = '') {
  const { kind, id, unread } = conversation;
  const name = element('span', { className: 'name' }, chat.titleOf(conversation));
  const button = element('button', { type: 'button' }, name);
  Object.assign(button.dataset, { kind, id });
  if (remark) button.append(element('span', { className: 'quiet' }, remark));
  const label = element('span', { className: 'hidden' }, ' unread');
  if (unread > 0) button.append(element('span', { className: 'unread' }, unread, label));
  if (conversation === chat.current) button.setAttribute('aria-current', 'true');
  return element('li', {}, button);
}

let shown;

/** Lines that are there stay, so that a screen reader reads out what is new. */
export function showLog(chat) {
  const [scroll, log] = ['scroll', 'log'].map(find);
  const isFollowed = shown !== chat.current || scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
  if (shown !== chat.current) log.replaceChildren();
  shown = chat.current;
  log.classList.toggle('may-moderate', shown.mayModerate);
  const present = new Map([...log.children].map((item) => [item.dataset.id, item]));
  shown.messages.forEach((message, index) => {
    const item = present.get(message.id) ?? line(chat, message);
    present.delete(message.id);
    if (message.mark) item.querySelector('.mark').textContent = message.mark;
    if (log.children[index] !== item) log.insertBefore(item, log.children[index] ?? null);
  });
  for (const item of present.values()) item.remove();
  if (isFollowed) scroll.scrollTop = scroll.scrollHeight;
}

function line(chat, { id, by, text, time }) {
  const item = element('li', { className: by === undefined ? 'note' : by === chat.me.id ? 'own' : '' });
  item.dataset.id = id;
  if (by === undefined) item.append(text);
  else {
    const head = [
      element('b', {}, chat.nameOf(by)),
      element('time', { dateTime: time }, timeOf(time)),
      element('span', { className: 'mark' }),
    ];
    if (by !== chat.me.id) head.push(actions(chat, by));
    item.append(element('div', { className: 'by' }, ...head), element('div', { className: 'text' }, text));
  }
  return item;
}

/** The actions of a moderator on the author of a message. Shown only to moderators. */
function actions(chat, userId) {
  const name = chat.nameOf(userId);
  const choice = (action, label) => {
    const button = element('button', { type: 'button' }, label, element('span', { className: 'hidden' }, ` ${name}`));
    Object.assign(button.dataset, { action, userId });
    return button;
  };
  const summary = element('summary', {}, '⋯', element('span', { className: 'hidden' }, `Moderate ${name}`));
  const choices = element('div', {}, choice('mute', 'Mute'), choice('kick', 'Remove'), choice('ban', 'Ban'));
  return element('details', { className: 'actions' }, summary, choices);
}

export function showTyping(chat) {
  const [first, ...others] = [...chat.current.typing].map((id) => chat.nameOf(id));
  const several = others.length > 0 ? 'Several people are typing …' : `${first} is typing …`;
  find('typing').textContent = first === undefined ? '' : several;
}

/** Children that are not elements become text. */
function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
