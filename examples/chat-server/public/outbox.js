// Our own messages: each is shown at once, with its state until it has arrived.
import { isPending } from './conversation.js';

/** What to tell, by the code of an error. For other codes, the message of the server is shown. */
const REASONS = {
  USER_OFFLINE: 'this person is offline',
  MUTED: 'you are muted in this room',
  NOT_IN_ROOM: 'you are not in this room',
  ROOM_UNKNOWN: 'this room does not exist any more',
  RATE_LIMITED: 'you wrote too fast; wait a moment',
  CONTENT_REJECTED: 'it has words that are not allowed here',
  MESSAGE_EXPIRED: 'there was no connection for too long',
  MESSAGE_TOO_OLD: 'it is not known whether it arrived; look before you send it again',
  TIMEOUT: 'the server did not answer',
  CANCELLED: 'it was cancelled',
};

export const reasonOf = ({ code, message }) => REASONS[code] ?? message;

/** `changed()` is called when the state of a message has changed; `failed(reason)` when one could not be sent. */
export function createOutbox(client, chat, { changed, failed }) {
  function send(where, text) {
    const id = randomId();
    const message = { key: id, id, by: chat.me.id, text, time: new Date().toISOString(), state: 'sending' };
    const content = where.kind === 'room' ? { roomId: where.id, content: text } : { to: where.id, content: text };
    where.add(message);
    const sent = client.send({ id, type: where.kind === 'room' ? 'chat-message' : 'private-message', content });
    sent.then(() => { where.find(id)?.state === 'sending' && (where.find(id).state = 'sent'); }, (error) => {
      const unsent = where.find(id);
      if (!unsent) return;
      Object.assign(unsent, { state: 'failed', problem: reasonOf(error) });
      failed(unsent.problem);
    }).then(changed);
    update();
  }

  /** The server has a message: from now on it has the server's id. */
  function confirm(localId, id) {
    for (const where of chat.all) where.confirm(localId, id);
    changed();
  }

  /** Tells messages that wait for a connection from those that are on their way. */
  function update() {
    const states = new Map(client.queue.entries().map(({ id, state }) => [id, state]));
    for (const { messages } of chat.all) {
      for (const message of messages.filter((one) => isPending(one) && states.has(one.id))) {
        message.state = states.get(message.id) === 'queued' ? 'queued' : 'sending';
      }
    }
    changed();
  }

  function cancel(where, id) {
    where.remove(id);
    client.queue.cancel(id);
    changed();
  }

  function retry(where, id) {
    const { text } = where.find(id);
    where.remove(id);
    send(where, text);
  }

  const removals = [
    client.on('message-sent', ({ messageId }, { replyTo }) => confirm(replyTo, messageId)),
    client.on('state', update),
  ];
  return { send, cancel, retry, stop: () => removals.forEach((remove) => remove()) };
}

// Pages without https have no crypto.randomUUID.
const randomId = () => [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join('');
