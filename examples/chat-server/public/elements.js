// Small helpers for elements. Texts of users are set as text, never as markup.

export const find = (id) => document.getElementById(id);

/** Makes an element. Children that are not elements become text. */
export function element(tag, properties = {}, ...children) {
  const { dataset = {}, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  Object.assign(made.dataset, dataset);
  made.append(...children);
  return made;
}

/** Text that only screen readers read. */
export const hidden = (text) => element('span', { className: 'hidden' }, text);

/** A circle with the first letter of a name, in a color of the user. */
export function avatar(userId, name) {
  const made = element('span', { className: 'avatar', ariaHidden: 'true' }, [...name][0].toUpperCase());
  const hue = [...userId].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 0);
  made.style.setProperty('--hue', hue);
  return made;
}
