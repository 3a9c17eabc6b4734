// Says in words how the connection is.
import { find } from './elements.js';

/** Milliseconds for which a lost connection is not shown: most are back by then. */
const BLIP = 2_000;

const LATER = 'What you write now is sent when the connection is back.';

/** `short` is always visible, `long` explains what to do, `action` is the text of the button that connects now. */
function wordsOf({ status, phase, nextAttempt, error }) {
  if (status === 'connected') return { short: 'Online' };
  if (status === 'connecting') return { short: 'Connecting …' };
  if (phase === 'failed') {
    return { short: 'Disconnected', long: `The server ended the connection: ${error}.`, action: 'Connect again' };
  }
  if (phase === 'offline') return { short: 'Offline', long: `Your device has no network. ${LATER}` };
  const seconds = nextAttempt && Math.max(1, Math.ceil((nextAttempt - Date.now()) / 1_000));
  const next = seconds > 1 ? ` Next attempt in ${seconds} s.` : '';
  return { short: 'Reconnecting …', long: `There is no connection. ${LATER}${next}`, action: 'Connect now' };
}

/** Shows the state of the client until the returned function is called. */
export function showStatus(client) {
  let state = client.getState();
  let lostAt;
  const remove = client.on('state', (now) => {
    state = now;
    update();
  });
  // Also counts down to the next attempt.
  const timer = setInterval(update, 1_000);
  find('connect').onclick = () => void client.connect().catch(() => { /* the status shows it */ });
  update();

  function update() {
    if (state.status === 'connected') lostAt = undefined;
    else if (state.lastConnected) lostAt ??= Date.now();
    const isBlip = lostAt !== undefined && Date.now() - lostAt < BLIP && state.status !== 'error';
    const { short, long = '', action } = wordsOf(isBlip ? { status: 'connected' } : state);
    set('status', short);
    set('link-text', long);
    find('status').classList.toggle('good', short === 'Online');
    find('link').hidden = long === '';
    find('connect').hidden = !action;
    set('connect', action ?? '');
  }

  return () => {
    remove();
    clearInterval(timer);
  };
}

/** A text that is set again is read out again. */
function set(id, text) {
  if (find(id).textContent !== text) find(id).textContent = text;
}
