// Signs in with a form, and keeps the session in this tab until it is closed.
import { find } from './view.js';

const STORED = 'session';

/** Calls `begin({ token, user })`: with the stored session, and after each sign-in with the form. */
export function signIn(begin) {
  find('sign-in-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    event.submitter.disabled = true;
    try {
      const session = await ask(find('username').value, find('password').value);
      sessionStorage.setItem(STORED, JSON.stringify(session));
      show(false);
      begin(session);
    } catch (error) {
      signOut(error instanceof TypeError ? 'The server cannot be reached.' : error.message);
    } finally {
      event.submitter.disabled = false;
    }
  });

  const stored = sessionStorage.getItem(STORED);
  if (!stored) return signOut();
  show(false);
  begin(JSON.parse(stored));
}

/** Forgets the session, and asks for another one. */
export function signOut(problem = '') {
  sessionStorage.removeItem(STORED);
  show(true);
  find('sign-in-problem').textContent = problem;
  find('password').value = '';
  find(find('username').value ? 'password' : 'username').focus();
}

async function ask(username, password) {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch('/api/auth', { method: 'POST', headers, body: JSON.stringify({ username, password }) });
  const { error, ...session } = await response.json();
  if (response.ok) return session;
  throw new Error(error);
}

function show(isForm) {
  find('sign-in').hidden = !isForm;
  find('chat').hidden = isForm;
}
