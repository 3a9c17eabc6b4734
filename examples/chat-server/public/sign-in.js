// Signs in with a form, and keeps the session in this tab until it is closed.
import { find } from './elements.js';

const STORED = 'session';

/** Calls `begin({ token, user })`: with the stored session, and after each sign-in with the form. */
export function signIn(begin) {
  find('sign-in-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    event.submitter.disabled = true;
    try {
      const session = await ask(find('username').value, find('password').value);
      store(session);
      show(false);
      begin(session);
    } catch (error) {
      signOut(error instanceof TypeError ? 'The server cannot be reached. Try again in a moment.' : error.message);
    } finally {
      event.submitter.disabled = false;
    }
  });

  const session = stored();
  if (!session) return signOut();
  // For the next sign-in, when this session is over.
  find('username').value = session.user.username;
  show(false);
  begin(session);
}

/** Forgets the session, and asks for another one. */
export function signOut(problem = '') {
  sessionStorage.removeItem(STORED);
  show(true);
  find('sign-in-problem').textContent = problem;
  find('password').value = '';
  find(find('username').value ? 'password' : 'username').focus();
}

/** The token of the session: renewed in this tab, it is kept for a reload. */
export const token = () => stored()?.token;

/** Gets a newer token. `undefined`: the session is over. Throws if the server cannot be reached. */
export async function renew() {
  const headers = { authorization: `Bearer ${token()}` };
  const response = await fetch('/api/refresh', { method: 'POST', headers });
  if (response.status === 401) return undefined;
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const { token: newer } = await response.json();
  store({ ...stored(), token: newer });
  return newer;
}

const stored = () => JSON.parse(sessionStorage.getItem(STORED) ?? 'null');
const store = (session) => sessionStorage.setItem(STORED, JSON.stringify(session));

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
