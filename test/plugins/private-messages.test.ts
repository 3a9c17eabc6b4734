import { expect } from 'chai';
import fc from 'fast-check';
import { useFakeTimers } from 'sinon';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { definePlugin, ModuleError, type Connection, type ConnectionLayer, type LabelledValue } from '../../index.ts';
import { moderation, type ModerationOptions } from '../../plugins/moderation.ts';
import { PrivateTyping } from '../../plugins/private-messages/private-typing.ts';
import { Receipts } from '../../plugins/private-messages/receipts.ts';
import { privateMessages, type PrivateMessage, type PrivateMessagesOptions } from '../../plugins/private-messages.ts';
import { rooms } from '../../plugins/rooms.ts';
import { cleanup } from '../support/cleanup.ts';
import type { Client, Received } from '../support/client.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start, type Manager, type StartOptions } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

const QUIET = { logger: { debug() {}, info() {}, warn() {}, error() {} } };

/** Who connects with `?user=anna` is anna. */
const byName: ConnectionLayer = {
  type: 'connection',
  name: 'by-name',
  handler(_, { url }) {
    const id = new URL(url, 'ws://x').searchParams.get('user');
    return id ? { user: { id } } : undefined;
  },
};

async function messenger(options?: PrivateMessagesOptions, more: StartOptions = {}) {
  const started = await start({ ...QUIET, ...more, use: [byName, privateMessages(options), ...more.use ?? []] });
  return { ...started, as: (user: string) => started.connect({ search: `?user=${encodeURIComponent(user)}` }) };
}

const write = (client: Client, to: unknown, content: unknown, type = 'private-message') => client.request({ type, to, content });
const codeOf = ({ content }: Received): string => content.code as string;
const letters = (client: Client) => client.messages.filter(({ type }) => type === 'private-message');
/** Everything that was sent to a client before has come when this is answered. */
const caughtUp = (client: Client) => client.request({ type: 'ping' });
const metrics = (manager: Manager) => manager.getMetrics().plugins['private-messages']! as Record<string, any>;
const count = (manager: Manager, metric: string, status: string) =>
  (metrics(manager)[metric] as LabelledValue[]).find(({ labels }) => labels['status'] === status)!.value;

describe('private-messages', () => {
  describe('a message', () => {
    it('is sent to all connections of its recipient, and to the sender\'s other connections', async () => {
      const { as } = await messenger();
      const [anna, annasPhone, ben, bensPhone, carla] = await Promise.all(['anna', 'anna', 'ben', 'ben', 'carla'].map(as)) as [Client, Client, Client, Client, Client];

      const reply = await write(anna, 'ben', 'hello');
      await Promise.all([anna, annasPhone, ben, bensPhone, carla].map(caughtUp));

      expect(reply).to.deep.include({ type: 'message-sent', content: { messageId: reply.content.messageId, delivered: 2, status: 'sent' } });
      const expected = { type: 'private-message', id: reply.content.messageId, content: { from: 'anna', to: 'ben', content: 'hello' } };
      for (const client of [annasPhone, ben, bensPhone]) expect(letters(client).map(({ timestamp: _, ...rest }) => rest)).to.deep.equal([expected]);
      for (const client of [anna, carla]) expect(letters(client)).to.deep.equal([]);
    });

    for (const [what, message] of [
      ['flat', { to: 'ben', content: 'hi' }], ['together', { content: { to: 'ben', content: 'hi' } }], ['as data', { data: { to: 'ben', content: 'hi' } }],
      ['flat, as data', { to: 'ben', data: 'hi' }],
    ] as const) {
      it(`is accepted ${what}, in any naming`, async () => {
        const { as } = await messenger();
        const [anna, ben] = await Promise.all(['anna', 'ben'].map(as)) as [Client, Client];

        await anna.request({ type: 'private message', ...message });
        await anna.request({ type: 'private_message', ...message });

        for (let round = 0; round < 2; round++) expect((await ben.next('private-message')).content).to.deep.equal({ from: 'anna', to: 'ben', content: 'hi' });
      });
    }

    it('may be an object, which is sent unchanged', async () => {
      const { as } = await messenger();
      const [anna, ben] = await Promise.all(['anna', 'ben'].map(as)) as [Client, Client];

      await write(anna, 'ben', { text: 'hi', to: 'nobody', type: 'image' });

      expect((await ben.next('private-message')).content.content).to.deep.equal({ text: 'hi', to: 'nobody', type: 'image' });
    });

    it('uses the naming of the application', async () => {
      const { as } = await messenger({}, { naming: 'space' });
      const [anna, ben] = await Promise.all(['anna', 'ben'].map(as)) as [Client, Client];

      const { type, content: { messageId } } = await write(anna, 'ben', 'hi');
      await ben.next('private message');
      await ben.send({ type: 'message read', messageId });

      expect(type).to.equal('message sent');
      expect((await anna.next('message read')).content).to.deep.equal({ messageId, by: 'ben' });
    });

    it('gets its sender and id from the server', async () => {
      const { as } = await messenger();
      const [anna, ben] = await Promise.all(['anna', 'ben'].map(as)) as [Client, Client];

      await anna.request({ id: 'mine', type: 'private-message', content: { from: 'carla', to: 'ben', content: 'hi' } });
      await anna.request({ id: 'mine too', type: 'private-message', from: 'carla', to: 'ben', content: 'hi' });
      const received = [await ben.next('private-message'), await ben.next('private-message')];

      for (const { id, content } of received) {
        expect(content).to.deep.equal({ from: 'anna', to: 'ben', content: 'hi' });
        expect(id).to.not.match(/^mine/);
      }
    });

    it('reaches users who authenticated after they connected', async () => {
      const { manager, connect, as } = await messenger();
      const anna = await as('anna');
      const late = await connect();
      manager.use(definePlugin({
        name: 'late',
        setup(context) {
          context.registerHandler('i-am', ({ content }, connection) => {
            context.node.identify(connection, { id: content });
            return 'welcome';
          });
        },
      }));
      await late.request({ type: 'i-am', content: 'ben' });

      const reply = await write(anna, 'ben', 'hi');

      expect(reply.content).to.include({ delivered: 1, status: 'sent' });
      expect((await late.next('private-message')).content.content).to.equal('hi');
    });

    it('is emitted to the application, with its status', async () => {
      const stored: PrivateMessage[] = [];
      const { manager, as } = await messenger({ offline: (message) => stored.push(message) });
      const events: unknown[] = [];
      manager.on('private-message:sent', ({ message, status, delivered }) => events.push([message.content.to, status, delivered]));
      const [anna] = await Promise.all(['anna', 'ben'].map(as)) as [Client, Client];

      await write(anna, 'ben', 'hi');
      await write(anna, 'carla', 'hi');

      expect(events).to.deep.equal([['ben', 'sent', 1], ['carla', 'stored', 0]]);
      expect([count(manager, 'private_messages_total', 'sent'), count(manager, 'private_messages_total', 'stored')]).to.deep.equal([1, 1]);
    });

    it('may be sent by the application', async () => {
      const { manager, as } = await messenger({ canSend: () => false });
      const ben = await as('ben');

      const posted = await manager.api('private-messages').send('support', 'ben', { text: 'welcome' });
      const lost = await manager.api('private-messages').send('support', 'nobody', 'welcome').catch((error: unknown) => error as ModuleError);

      expect(await ben.next('private-message')).to.deep.include({ id: posted.messageId, content: { from: 'support', to: 'ben', content: { text: 'welcome' } } });
      expect(posted).to.include({ delivered: 1, status: 'sent' });
      expect(lost).to.be.instanceOf(ModuleError).with.property('code', 'USER_OFFLINE');
    });
  });

  describe('an offline recipient', () => {
    it('is an error for the sender; the sender\'s other devices get nothing', async () => {
      const { manager, as } = await messenger();
      const [anna, phone] = await Promise.all(['anna', 'anna'].map(as)) as [Client, Client];

      const reply = await write(anna, 'ben', 'hello');
      await caughtUp(phone);

      expect(reply).to.deep.include({ type: 'error', content: { code: 'USER_OFFLINE', message: 'the recipient is offline', to: 'ben' } });
      expect(letters(phone)).to.deep.equal([]);
      expect(count(manager, 'private_messages_total', 'offline')).to.equal(1);
    });

    it('is offline right after disconnecting', async () => {
      const { manager, as } = await messenger();
      const [anna, ben] = await Promise.all(['anna', 'ben'].map(as)) as [Client, Client];

      await ben.close();
      await eventually('ben to be gone', () => manager.connections.size === 1);

      expect(codeOf(await write(anna, 'ben', 'hello'))).to.equal('USER_OFFLINE');
    });

    it('gets a stored message later, and can confirm it then', async () => {
      const inbox: PrivateMessage[] = [];
      const { manager, as } = await messenger({ offline: (message) => { inbox.push(message); } });
      const [anna, phone] = await Promise.all(['anna', 'anna'].map(as)) as [Client, Client];

      const reply = await write(anna, 'ben', 'hello');
      await phone.next('private-message');
      const ben = await as('ben');
      for (const message of inbox) manager.sendToUser('ben', message);
      const letter = await ben.next('private-message');
      await ben.send({ type: 'message-delivered', messageId: letter.id });

      expect(reply.content).to.deep.include({ delivered: 0, status: 'stored' });
      expect(letter).to.deep.include({ id: reply.content.messageId, content: { from: 'anna', to: 'ben', content: 'hello' } });
      expect((await anna.next('message-delivered')).content.messageId).to.equal(reply.content.messageId);
    });

    it('gets the message at once when connecting while it is being stored', async () => {
      let ben: Client | undefined;
      const { as } = await messenger({ offline: async () => { ben = await as('ben'); } });
      const anna = await as('anna');

      const reply = await write(anna, 'ben', 'hello');

      expect(reply.content.status).to.equal('stored');
      expect((await ben!.next('private-message')).id).to.equal(reply.content.messageId);
    });

    it('gets nothing when the store fails, and the sender gets the error', async () => {
      let failure: Error = new Error('disk full');
      const { manager, as } = await messenger({ offline: () => Promise.reject(failure) });
      const errors: Error[] = [];
      manager.on('error', (error) => errors.push(error));
      const anna = await as('anna');

      const hidden = await write(anna, 'ben', 'hello');
      failure = new ModuleError('INBOX_FULL', { limit: 100 });
      const shown = await write(anna, 'ben', 'hello');

      expect([hidden, shown].map(codeOf)).to.deep.equal(['INTERNAL_ERROR', 'INBOX_FULL']);
      expect(errors.map(({ message }) => message)).to.deep.equal(['disk full']);
    });

    it('is offline when the last connection closes during the send', async () => {
      let release = () => {};
      const stored: PrivateMessage[] = [];
      const { manager, as } = await messenger({
        offline: async (message) => {
          await new Promise<void>((resolve) => (release = resolve));
          stored.push(message);
        },
      });
      const errors: Error[] = [];
      manager.on('error', (error) => errors.push(error));
      const anna = await as('anna');

      await anna.send({ type: 'private-message', to: 'ben', content: 'hello' });
      await eventually('the message to be at the store', () => manager.inspect()['inFlight'] === 1);
      await anna.terminate();
      release();
      await eventually('the message to be stored', () => stored.length === 1 && manager.inspect()['inFlight'] === 0);

      expect(errors).to.deep.equal([]);
    });
  });

  describe('is refused', () => {
    const wrong: readonly (readonly [what: string, message: object, code: string, path?: string])[] = [
      ['without anything', {}, 'VALIDATION_FAILED', 'to'],
      ['without a recipient', { content: 'hi' }, 'VALIDATION_FAILED', 'to'],
      ['to an empty name', { to: '', content: 'hi' }, 'VALIDATION_FAILED', 'to'],
      ['to a number', { to: 5, content: 'hi' }, 'VALIDATION_FAILED', 'to'],
      ['to a list', { to: ['ben'], content: 'hi' }, 'VALIDATION_FAILED', 'to'],
      ['to an object', { to: { toString: 'ben' }, content: 'hi' }, 'VALIDATION_FAILED', 'to'],
      ['to null', { to: null, content: 'hi' }, 'VALIDATION_FAILED', 'to'],
      ['to a name of 10 KB', { to: 'x'.repeat(10_240), content: 'hi' }, 'VALIDATION_FAILED', 'to'],
      ['without content', { to: 'ben' }, 'VALIDATION_FAILED', 'content'],
      ['without content inside', { content: { to: 'ben' } }, 'VALIDATION_FAILED', 'content'],
      ['of a number', { to: 'ben', content: 5 }, 'VALIDATION_FAILED', 'content'],
      ['of a list', { to: 'ben', content: ['hi'] }, 'VALIDATION_FAILED', 'content'],
      ['of null', { to: 'ben', content: null }, 'VALIDATION_FAILED', 'content'],
      ['of nothing', { to: 'ben', content: '' }, 'VALIDATION_FAILED', 'content'],
      ['of blanks', { to: 'ben', content: ' \n\t ' }, 'VALIDATION_FAILED', 'content'],
      ['that is too long', { to: 'ben', content: 'x'.repeat(101) }, 'MESSAGE_TOO_LONG'],
      ['that is too long as an object', { to: 'ben', content: { text: 'x'.repeat(101) } }, 'MESSAGE_TOO_LONG'],
      ['to oneself', { to: 'anna', content: 'hi' }, 'VALIDATION_FAILED', 'to'],
      ['to __proto__', { to: '__proto__', content: 'hi' }, 'USER_OFFLINE'],
      ['to constructor', { to: 'constructor', content: 'hi' }, 'USER_OFFLINE'],
      ['to everybody', { to: '*', content: 'hi' }, 'USER_OFFLINE'],
      ['to a topic', { to: 'user:ben', content: 'hi' }, 'USER_OFFLINE'],
      ['to control characters', { to: 'ben\u0000', content: 'hi' }, 'USER_OFFLINE'],
      ['to one who looks alike', { to: 'b\u0435n', content: 'hi' }, 'USER_OFFLINE'],
    ];

    for (const [what, message, code, path] of wrong) {
      it(`${what}, with ${code}`, async () => {
        const { manager, as } = await messenger({ maxLength: 100 });
        const [anna, phone, ben] = await Promise.all(['anna', 'anna', 'ben'].map(as)) as [Client, Client, Client];

        const reply = await anna.request({ type: 'private-message', ...message });
        await Promise.all([phone, ben].map(caughtUp));

        expect(codeOf(reply)).to.equal(code);
        if (path) expect(reply.content.issues.map((issue: { path: string }) => issue.path)).to.deep.equal([path]);
        expect([...letters(phone), ...letters(ben)]).to.deep.equal([]);
        expect(metrics(manager)['private_message_receipts_awaited']).to.equal(0);
      });
    }

    it('from an anonymous client', async () => {
      const { connect, as } = await messenger();
      const [nobody] = await Promise.all([connect(), as('ben')]);

      const replies = [await write(nobody, 'ben', 'hi'), await nobody.request({ type: 'message-read', messageId: 'x' })];

      expect(replies.map(codeOf)).to.deep.equal(['AUTH_REQUIRED', 'AUTH_REQUIRED']);
    });

    it('by canSend, whether the recipient is online or not', async () => {
      const asked: unknown[] = [];
      const { as } = await messenger({ canSend: ({ id }, to) => { asked.push([id, to]); return false; } });
      const [anna, ben] = await Promise.all(['anna', 'ben'].map(as)) as [Client, Client];

      const replies = [await write(anna, 'ben', 'hi'), await write(anna, 'carla', 'hi')];
      await caughtUp(ben);

      expect(replies.map(codeOf)).to.deep.equal(['FORBIDDEN', 'FORBIDDEN']);
      expect(asked).to.deep.equal([['anna', 'ben'], ['anna', 'carla']]);
      expect(letters(ben)).to.deep.equal([]);
    });

    it('when canSend fails', async () => {
      const { as } = await messenger({ canSend: () => Promise.reject(new Error('database gone')) });
      const [anna, ben] = await Promise.all(['anna', 'ben'].map(as)) as [Client, Client];

      const reply = await write(anna, 'ben', 'hi');
      await caughtUp(ben);

      expect(codeOf(reply)).to.equal('INTERNAL_ERROR');
      expect(letters(ben)).to.deep.equal([]);
    });
  });

  describe('permission and filters', () => {
    it('canSend is called with the content', async () => {
      const asked: unknown[] = [];
      const { as } = await messenger({ canSend: (from, to, content) => { asked.push([from.id, to, content]); return content !== 'bad'; } });
      const [anna, ben] = await Promise.all(['anna', 'ben'].map(as)) as [Client, Client];

      const replies = [await write(anna, 'ben', 'bad'), await write(anna, 'ben', { text: 'good' })];

      expect(replies.map(({ content }) => content.code)).to.deep.equal(['FORBIDDEN', undefined]);
      expect(asked).to.deep.equal([['anna', 'ben', 'bad'], ['anna', 'ben', { text: 'good' }]]);
      expect((await ben.next('private-message')).content.content).to.deep.equal({ text: 'good' });
    });

    it('filters run in order, after canSend, and may change, leave or refuse a content', async () => {
      const order: unknown[] = [];
      const { manager, as } = await messenger({ canSend: () => { order.push('canSend'); return true; } });
      const api = manager.api('private-messages');
      const [anna, ben] = await Promise.all(['anna', 'ben'].map(as)) as [Client, Client];
      api.filter(({ from, to, content, connection }) => {
        order.push([from.id, to, content, connection.user?.id]);
        return `${content as string}!`;
      });
      const undo = api.filter(async ({ content }) => {
        order.push(content);
        if (content === 'no!') throw new ModuleError('NOT_TODAY');
      });

      await write(anna, 'ben', 'yes');
      const refused = await write(anna, 'ben', 'no');
      undo();
      await write(anna, 'ben', 'no');

      expect(order.slice(0, 3)).to.deep.equal(['canSend', ['anna', 'ben', 'yes', 'anna'], 'yes!']);
      expect(codeOf(refused)).to.equal('NOT_TODAY');
      expect([await ben.next('private-message'), await ben.next('private-message')].map(({ content }) => content.content)).to.deep.equal(['yes!', 'no!']);
    });

    it('do not apply to the application', async () => {
      const { manager, as } = await messenger({ canSend: () => false });
      manager.api('private-messages').filter(() => { throw new ModuleError('NEVER'); });
      const ben = await as('ben');

      await manager.api('private-messages').send('support', 'ben', 'hello');

      expect((await ben.next('private-message')).content.content).to.equal('hello');
    });

    for (const order of ['before', 'after'] as const) {
      it(`moderation checks private messages when it is loaded ${order} them`, async () => {
        const started = await start({ ...QUIET, use: [byName, rooms()] });
        const [words, letters_] = [moderation({ bannedWords: ['spam'], action: 'mask' }), privateMessages()];
        started.manager.use(order === 'before' ? [words, letters_] : [letters_, words]);
        await started.manager.ready();
        const events: unknown[] = [];
        started.manager.on('private-message:moderated', ({ from, to, action, words: found }) => events.push([from, to, action, found]));
        const [anna, ben] = await Promise.all(['anna', 'ben'].map((user) => started.connect({ search: `?user=${user}` }))) as [Client, Client];

        await write(anna, 'ben', { text: 'S p a m!', tags: ['ham'] });
        await started.manager.unload('moderation');
        await write(anna, 'ben', 'spam');

        expect([await ben.next('private-message'), await ben.next('private-message')].map(({ content }) => content.content))
          .to.deep.equal([{ text: '****!', tags: ['ham'] }, 'spam']);
        expect(events).to.deep.equal([['anna', 'ben', 'mask', ['spam']]]);
      });
    }

    it('moderation rejects, only reports, or ignores private messages, by its option', async () => {
      const sent = async (options: ModerationOptions) => {
        const started = await start({ ...QUIET, use: [byName, rooms(), privateMessages(), moderation({ bannedWords: ['spam'], ...options })] });
        const [anna] = await Promise.all(['anna', 'ben'].map((user) => started.connect({ search: `?user=${user}` }))) as [Client, Client];
        return (await write(anna, 'ben', 'spam')).content;
      };

      expect(await sent({})).to.deep.equal({ code: 'CONTENT_REJECTED', message: 'the message contains words that are not allowed here', to: 'ben', words: ['spam'] });
      expect(await sent({ action: 'warn' })).to.include({ status: 'sent' });
      expect(await sent({ privateMessages: false })).to.include({ status: 'sent' });
    });

    it('HOSTILE 37: treat a message alike wherever its fields are', async () => {
      const started = await start({ ...QUIET, use: [
        byName, rooms(), privateMessages({ maxLength: 60, canSend: (_, to) => to !== 'carla' }), moderation({ bannedWords: ['spam'] }),
      ] });
      const [anna] = await Promise.all(['anna', 'ben'].map((user) => started.connect({ search: `?user=${user}` }))) as [Client];
      for (const [to, content, expected] of [
        ['ben', 'hi', undefined], ['carla', 'hi', 'FORBIDDEN'], ['ben', 's p a m', 'CONTENT_REJECTED'], ['ben', 'x'.repeat(61), 'MESSAGE_TOO_LONG'], ['nobody', 'hi', 'USER_OFFLINE'],
        ['ben', '', 'VALIDATION_FAILED'], ['', 'hi', 'VALIDATION_FAILED'], ['ben', { text: 'spam' }, 'CONTENT_REJECTED'], ['ben', { text: 'x'.repeat(61) }, 'MESSAGE_TOO_LONG'],
      ] as const) {
        for (const place of [{ to, content }, { content: { to, content } }, { data: { to, content } }, { to, data: content }]) {
          for (const type of ['private-message', 'private_message', 'private message']) {
            const reply = await anna.request({ type, ...place });
            expect(reply.content.code, JSON.stringify({ type, ...place })).to.equal(expected);
          }
        }
      }
    });

    it('count characters, not UTF-16 units', async () => {
      const { as } = await messenger({ maxLength: 20 });
      const [anna] = await Promise.all(['anna', 'ben'].map(as)) as [Client];

      expect((await write(anna, 'ben', '👨‍👩‍👧‍👦👨‍👩‍👧‍👦')).content).to.include({ status: 'sent' });
      expect((await write(anna, 'ben', 'x'.repeat(21))).content).to.include({ code: 'MESSAGE_TOO_LONG', length: 21, limit: 20 });
    });

    it('are for users with ids of up to 255 characters', async () => {
      const { as } = await messenger();
      const id = 'b'.repeat(255);
      const [anna, ben] = await Promise.all(['anna', id].map(as)) as [Client, Client];

      await write(anna, id, 'hi');

      expect((await ben.next('private-message')).content.to).to.equal(id);
      expect(codeOf(await write(anna, `${id}b`, 'hi'))).to.equal('VALIDATION_FAILED');
    });
  });

  describe('typing', () => {
    const type = (client: Client, isTyping: unknown, to: unknown = 'ben') => client.request({ type: 'private-typing', to, isTyping, ack: true });
    const notices = (client: Client) => client.messages.filter(({ type: name }) => name === 'private-typing').map(({ content }) => content.isTyping as boolean);

    async function typing(options?: PrivateMessagesOptions) {
      const clock = useFakeTimers({ toFake: ['performance'] });
      cleanup(() => clock.restore());
      const started = await messenger({ typingInterval: 3_000, typingTimeout: 6_000, ...options });
      const [anna, phone, ben, carla] = await Promise.all(['anna', 'anna', 'ben', 'carla'].map(started.as)) as [Client, Client, Client, Client];
      return { ...started, clock, anna, phone, ben, carla };
    }

    it('is sent to the recipient only, at once', async () => {
      const { anna, phone, ben, carla } = await typing();

      expect((await type(anna, true)).type).to.equal('ack');
      expect((await ben.next('private-typing')).content).to.deep.equal({ from: 'anna', to: 'ben', isTyping: true });
      await type(anna, false);
      await Promise.all([phone, carla].map(caughtUp));

      expect((await ben.next('private-typing')).content).to.deep.equal({ from: 'anna', to: 'ben', isTyping: false });
      for (const client of [phone, carla]) expect(notices(client)).to.deep.equal([]);
    });

    it('is sent once per interval, however often a client sends it', async () => {
      const { clock, anna, ben } = await typing();

      for (let time = 0; time < 5; time++) await type(anna, true);
      for (let time = 0; time < 5; time++) for (const isTyping of [false, true]) await type(anna, isTyping);
      clock.tick(3_000);
      await type(anna, true);
      await caughtUp(ben);

      expect(notices(ben)).to.deep.equal([true, false, true]);
    });

    it('ends with a message to the recipient, and when the connection closes', async () => {
      const { clock, anna, ben } = await typing();
      await type(anna, true);

      await write(anna, 'ben', 'hi');
      clock.tick(3_000);
      await type(anna, true);
      await anna.close();
      await eventually('the end', () => notices(ben).length === 4);

      expect(notices(ben)).to.deep.equal([true, false, true, false]);
    });

    it('ends after the timeout', async () => {
      const told: unknown[] = [];
      const clock = useFakeTimers({ toFake: ['performance'] });
      cleanup(() => clock.restore());
      const table = new PrivateTyping({ timeout: 6_000, interval: 3_000, tell: (from, to, isTyping) => told.push([from, to, isTyping]) });
      const connection = { id: 'c', user: { id: 'anna' } } as Connection;
      table.start(connection, 'anna', 'ben');

      clock.tick(5_999);
      table.sweep();
      clock.tick(1);
      table.sweep();
      clock.tick(3_000);
      table.start(connection, 'anna', 'carla');

      expect(told).to.deep.equal([['anna', 'ben', true], ['anna', 'ben', false], ['anna', 'carla', true]]);
      expect(table.size, 'the one that is over is forgotten').to.equal(1);
    });

    it('calls canSend each time, and is rejected like a message', async () => {
      let isAllowed = true;
      const asked: unknown[] = [];
      const { connect, anna, ben } = await typing({ canSend: (from, to, content) => { asked.push([from.id, to, content]); return isAllowed; } });

      await type(anna, true);
      isAllowed = false;
      const refused = await type(anna, true);
      const anonymous = await type(await connect(), true);
      const wrong = [await type(anna, 'yes'), await type(anna, true, 5), await type(anna, true, 'anna')];
      await caughtUp(ben);

      expect([refused, anonymous, ...wrong].map(codeOf)).to.deep.equal(['FORBIDDEN', 'AUTH_REQUIRED', 'VALIDATION_FAILED', 'VALIDATION_FAILED', 'VALIDATION_FAILED']);
      expect(asked.slice(0, 2)).to.deep.equal([['anna', 'ben', undefined], ['anna', 'ben', undefined]]);
      expect(notices(ben)).to.deep.equal([true]);
    });

    it('is limited per user, without affecting others', async () => {
      const { manager, anna, carla } = await typing();

      const codes: unknown[] = [];
      for (let count = 0; count < 25; count++) codes.push((await type(anna, true, `user-${count}`)).content?.code);

      expect(codes.filter((code) => code === 'RATE_LIMITED')).to.have.lengthOf(5);
      expect((await type(carla, true)).type).to.equal('ack');
      expect(metrics(manager)['private_message_typing']).to.equal(21);
    });

    it('is the same wherever its fields are', async () => {
      const { clock, anna, ben } = await typing();

      for (const message of [{ to: 'ben', isTyping: true }, { content: { to: 'ben', isTyping: true } }, { to: 'ben', content: { isTyping: true } }, { isTyping: true, data: { to: 'ben' } }]) {
        clock.tick(3_000);
        expect((await anna.request({ type: 'private typing', ack: true, ...message })).type).to.equal('ack');
      }
      await caughtUp(ben);

      expect(notices(ben)).to.deep.equal([true, true, true, true]);
    });
  });

  it('sends messages to oneself to the other devices, if allowed', async () => {
    const { manager, as } = await messenger({ allowSelf: true });
    const [anna, phone] = await Promise.all(['anna', 'anna'].map(as)) as [Client, Client];

    const reply = await write(anna, 'anna', 'milk');
    await Promise.all([anna, phone].map(caughtUp));

    expect(reply.content).to.include({ delivered: 1, status: 'sent' });
    expect([letters(anna).length, letters(phone).length]).to.deep.equal([0, 1]);
    expect(metrics(manager)['private_message_receipts_awaited']).to.equal(0);
  });

  it('stores a message to oneself if there is no other device, and does not send it back', async () => {
    const inbox: PrivateMessage[] = [];
    const { as } = await messenger({ allowSelf: true, offline: (message) => inbox.push(message) });
    const anna = await as('anna');

    const reply = await write(anna, 'anna', 'milk');
    await caughtUp(anna);

    expect(reply.content).to.deep.equal({ messageId: inbox[0]!.id, delivered: 0, status: 'stored' });
    expect(letters(anna)).to.deep.equal([]);
  });

  describe('a receipt', () => {
    async function received(options?: PrivateMessagesOptions) {
      const started = await messenger(options);
      const [anna, phone, ben, tablet, mallory] = await Promise.all(['anna', 'anna', 'ben', 'ben', 'mallory'].map(started.as)) as [Client, Client, Client, Client, Client];
      const { content: { messageId } } = await write(anna, 'ben', 'hello');
      return { ...started, anna, phone, ben, tablet, mallory, messageId: messageId as string };
    }
    const receiptsOf = (client: Client) => client.messages.filter(({ type }) => /^message-(delivered|read)$/.test(type)).map(({ type, content }) => [type, content.messageId, content.by]);

    it('of delivery is sent to all connections of the sender, once', async () => {
      const { anna, phone, ben, tablet, messageId } = await received();

      for (const client of [ben, tablet, ben]) expect((await client.request({ type: 'message-delivered', messageId, ack: true })).type).to.equal('ack');
      await Promise.all([anna, phone, ben, tablet].map(caughtUp));

      for (const client of [anna, phone]) expect(receiptsOf(client)).to.deep.equal([['message-delivered', messageId, 'ben']]);
      for (const client of [ben, tablet]) expect(receiptsOf(client)).to.deep.equal([]);
    });

    it('of reading is also sent to the reader\'s other connections, and implies delivery', async () => {
      const { manager, anna, ben, tablet, messageId } = await received();
      const events: unknown[] = [];
      manager.on('private-message:receipt', (event) => events.push(event));

      await ben.request({ type: 'message_read', content: { messageId }, ack: true });
      await tablet.request({ type: 'message-read', messageId, ack: true });
      await tablet.request({ type: 'message-delivered', messageId, ack: true });
      await Promise.all([anna, ben, tablet].map(caughtUp));

      for (const client of [anna, tablet]) expect(receiptsOf(client)).to.deep.equal([['message-read', messageId, 'ben']]);
      expect(receiptsOf(ben)).to.deep.equal([]);
      expect(events).to.deep.equal([{ messageId, from: 'anna', to: 'ben', status: 'read' }]);
      expect([count(manager, 'private_message_receipts_total', 'read'), count(manager, 'private_message_receipts_total', 'delivered')]).to.deep.equal([1, 0]);
    });

    it('is accepted from the recipient only', async () => {
      const { anna, mallory, messageId } = await received();

      const replies = [await mallory.request({ type: 'message-read', messageId }), await anna.request({ type: 'message-read', messageId })];
      await caughtUp(anna);

      expect(replies.map(codeOf)).to.deep.equal(['MESSAGE_UNKNOWN', 'MESSAGE_UNKNOWN']);
      expect(receiptsOf(anna)).to.deep.equal([]);
    });

    for (const messageId of [undefined, null, 5, '', {}, ['x'], 'x'.repeat(10_240), '__proto__', 'constructor', 'never']) {
      it(`is rejected for ${messageId === undefined ? 'nothing' : JSON.stringify(messageId).slice(0, 20)}`, async () => {
        const { ben } = await received();

        const reply = await ben.request({ type: 'message-delivered', messageId });

        expect(codeOf(reply)).to.equal(typeof messageId === 'string' && messageId !== '' && messageId.length < 100 ? 'MESSAGE_UNKNOWN' : 'VALIDATION_FAILED');
      });
    }

    it('is awaited until receiptTimeout', async () => {
      const clock = useFakeTimers({ toFake: ['performance'] });
      cleanup(() => clock.restore());
      const { ben, messageId } = await received({ receiptTimeout: 60_000 });

      clock.tick(60_001);
      const reply = await ben.request({ type: 'message-read', messageId });

      expect(codeOf(reply)).to.equal('MESSAGE_UNKNOWN');
    });

    it('is awaited for the latest messages of a sender, up to maxReceiptsPerUser', async () => {
      const { manager, anna, ben, messageId } = await received({ maxReceipts: 3 });

      for (let index = 0; index < 3; index++) await write(anna, 'ben', `${index}`);

      expect(metrics(manager)['private_message_receipts_awaited']).to.equal(3);
      expect(codeOf(await ben.request({ type: 'message-read', messageId }))).to.equal('MESSAGE_UNKNOWN');
    });

    it('is dropped for a sender at the limit, and for no other sender', async () => {
      const { anna, ben, messageId, as } = await received({ maxReceipts: 100, maxReceiptsPerUser: 3 });
      const carl = await as('carl');
      const ids: string[] = [];

      for (let index = 0; index < 5; index++) ids.push((await write(carl, 'ben', `${index}`)).content.messageId);

      expect(codeOf(await ben.request({ type: 'message-read', messageId: ids[1] })), 'the oldest but three').to.equal('MESSAGE_UNKNOWN');
      await ben.send({ type: 'message-read', messageId: ids[4] });
      expect((await carl.next('message-read')).content.messageId).to.equal(ids[4]);
      await ben.send({ type: 'message-read', messageId });
      expect((await anna.next('message-read')).content.messageId).to.equal(messageId);
    });

    it('is kept when another user sends many messages', () => {
      const receipts = new Receipts(10, 5, 60_000);
      receipts.expect('first', 'anna', 'ben');
      for (const sender of ['mallory', 'mallet']) for (let index = 0; index < 50; index++) receipts.expect(`${sender} ${index}`, sender, 'ben');
      receipts.expect('late', 'newcomer', 'ben');

      expect(receipts.size).to.equal(10);
      expect(receipts.confirm('first', 'ben', 'read')).to.equal('anna');
      expect(receipts.confirm('mallory 49', 'ben', 'read')).to.equal('mallory');
      expect(() => receipts.confirm('late', 'ben', 'read'), 'the newcomer').to.throw().with.property('code', 'MESSAGE_UNKNOWN');
    });

    it('is not handled when receipts are turned off', async () => {
      const { ben, messageId } = await received({ maxReceipts: 0 });

      expect(codeOf(await ben.request({ type: 'message-read', messageId }))).to.equal('UNKNOWN_TYPE');
    });

    it('ignores other messages of the same type from the application', async () => {
      const { manager, ben } = await received();

      for (const content of [null, 'text', {}, { from: 5, to: 'ben' }, { from: 'anna', to: 'mallory' }]) manager.sendToUser('ben', { type: 'private-message', id: 'odd', content });

      expect(codeOf(await ben.request({ type: 'message-read', messageId: 'odd' }))).to.equal('MESSAGE_UNKNOWN');
      expect(metrics(manager)['private_message_receipts_awaited']).to.equal(1);
    });
  });

  describe('across nodes', () => {
    async function nodes(options: PrivateMessagesOptions = {}) {
      const bus = {};
      const [a, b] = [await messenger(options, { adapter: new MemoryAdapter(bus), nodeId: 'a' }), await messenger(options, { adapter: new MemoryAdapter(bus), nodeId: 'b' })];
      return { a, b };
    }

    it('a message reaches the recipient on all nodes, and its receipts come back', async () => {
      const { a, b } = await nodes();
      const [anna, phone, ben] = await Promise.all([a.as('anna'), b.as('anna'), b.as('ben')]);

      const { content } = await write(anna, 'ben', 'hello');
      const letter = await ben.next('private-message');
      const echo = await phone.next('private-message');
      await ben.send({ type: 'message-delivered', messageId: letter.id });
      const delivered = await anna.next('message-delivered');
      await ben.send({ type: 'message-read', messageId: letter.id });
      const read = await anna.next('message-read');

      expect(content).to.deep.equal({ messageId: letter.id, delivered: 0, status: 'forwarded' });
      expect(echo).to.deep.equal(letter);
      for (const receipt of [delivered, read]) expect(receipt.content).to.deep.equal({ messageId: letter.id, by: 'ben' });
    });

    it('isElsewhere decides whether the recipient is offline', async () => {
      const { a, b } = await nodes({ isElsewhere: async (user) => user === 'ben' });
      const [anna] = await Promise.all([a.as('anna'), b.as('ben')]);

      const [known, unknown] = [await write(anna, 'ben', 'hello'), await write(anna, 'carla', 'hello')];

      expect(known.content.status).to.equal('forwarded');
      expect(codeOf(unknown)).to.equal('USER_OFFLINE');
    });

    it('a message is stored if no node has the recipient, and not if another node has', async () => {
      const inbox: PrivateMessage[] = [];
      const { a, b } = await nodes({ offline: (message) => inbox.push(message) });
      const [anna] = await Promise.all([a.as('anna'), b.as('ben')]);

      const [known, unknown] = [await write(anna, 'ben', 'hello'), await write(anna, 'carla', 'hello')];

      expect([known.content.status, unknown.content.status]).to.deep.equal(['forwarded', 'stored']);
      expect(inbox.map(({ content }) => content.to)).to.deep.equal(['carla']);
    });

    it('a message to an offline user is rejected if all nodes answer, and forwarded if one does not', async () => {
      const { a, b } = await nodes();
      const anna = await a.as('anna');

      const known = await write(anna, 'carla', 'hello');
      await b.manager.unload('private-messages');
      const unknown = await write(anna, 'carla', 'hello');

      expect(codeOf(known)).to.equal('USER_OFFLINE');
      expect(unknown.content.status).to.equal('forwarded');
    });

    it('a message is stored if the node of the recipient does not answer', async () => {
      const inbox: PrivateMessage[] = [];
      const { a, b } = await nodes({ offline: (message) => inbox.push(message) });
      const [anna, ben] = await Promise.all([a.as('anna'), b.as('ben')]);
      await b.manager.unload('private-messages');

      const reply = await write(anna, 'ben', 'hello');

      expect(reply.content.status).to.equal('stored');
      expect((await ben.next('private-message')).id).to.equal(inbox[0]!.id);
    });

    for (const [who, options, code] of [
      ['the store', { offline: () => Promise.reject(new ModuleError('INBOX_FULL')) }, 'INBOX_FULL'],
      ['who knows where everybody is', { isElsewhere: async () => false }, 'USER_OFFLINE'],
    ] as const) {
      it(`a message that ${who} rejects reaches no connection on any node`, async () => {
        const { a, b } = await nodes(options);
        const [anna, phone, ben] = await Promise.all([a.as('anna'), b.as('anna'), b.as('ben')]);
        await b.manager.unload('private-messages');

        const reply = await write(anna, 'ben', 'hello');
        for (const user of ['anna', 'ben']) a.manager.sendToUser(user, { type: 'after' });
        await Promise.all([phone, ben].map((client) => client.next('after')));

        expect(codeOf(reply)).to.equal(code);
        expect([...letters(phone), ...letters(ben)]).to.deep.equal([]);
      });
    }
  });

  it('accepts each receipt of the recipient once, and none of others, in any order', () => {
    const user = fc.constantFrom('a', 'b', 'c');
    const id = fc.integer({ min: 0, max: 8 }).map(String);
    const expectation = fc.record({ id, from: user, to: user });
    const word = fc.record({ id, by: user, stage: fc.constantFrom('delivered' as const, 'read' as const) });

    fc.assert(fc.property(fc.array(fc.oneof(expectation, word), { maxLength: 60 }), (steps) => {
      const receipts = new Receipts(100, 100, 1_000_000);
      const sent = new Map<string, { from: string; to: string }>();
      const told: string[] = [];
      for (const step of steps) {
        if ('to' in step) {
          // Who sends a message again sends the same one.
          const { from, to } = sent.get(step.id) ?? step;
          sent.set(step.id, { from, to });
          receipts.expect(step.id, from, to);
        } else if (sent.get(step.id)?.to === step.by) {
          const from = receipts.confirm(step.id, step.by, step.stage);
          if (from === undefined) continue;
          expect(from).to.equal(sent.get(step.id)!.from);
          told.push(`${step.id} ${step.stage}`);
        } else expect(() => receipts.confirm(step.id, step.by, step.stage)).to.throw().with.property('code', 'MESSAGE_UNKNOWN');
      }

      expect(new Set(told)).to.have.property('size', told.length);
      for (const one of told.filter((text) => text.endsWith('delivered'))) {
        const read = told.indexOf(one.replace('delivered', 'read'));
        if (read >= 0) expect(told.indexOf(one)).to.be.below(read);
      }
    }));
  });

  it('uses bounded memory in a flood', async () => {
    const { manager, as } = await messenger({ maxReceipts: 100 });
    const [anna, ben] = await Promise.all(['anna', 'ben'].map(as)) as [Client, Client];

    for (let index = 0; index < 2_000; index++) void anna.send({ type: 'private-message', to: index % 2 ? 'ben' : `nobody-${index}`, content: 'x' });
    await caughtUp(anna);
    await eventually('what was sent to ben', () => letters(ben).length === 1_000);

    expect(metrics(manager)['private_message_receipts_awaited']).to.equal(100);
    expect(manager.inspect()['topics']).to.equal(2);
  });

  it('may be unloaded while a message is being sent', async () => {
    let release = () => {};
    const { manager, as } = await messenger({ canSend: () => new Promise((resolve) => (release = () => resolve(true))) });
    const [anna, ben] = await Promise.all(['anna', 'ben'].map(as)) as [Client, Client];

    const reply = write(anna, 'ben', 'hello');
    await eventually('the question', () => manager.inspect()['inFlight'] === 1);
    const unloaded = manager.unload('private-messages');
    release();
    await unloaded;

    expect((await reply).content.status).to.equal('sent');
    expect((await ben.next('private-message')).content.content).to.equal('hello');
    expect(codeOf(await write(anna, 'ben', 'hello'))).to.equal('UNKNOWN_TYPE');
  });

  describe('its options', () => {
    const wrong: readonly (readonly [options: object, code: string, path: string])[] = [
      [{ maxLength: 0 }, 'OPTION_INVALID', 'privateMessages.maxLength'],
      [{ allowSelf: 'yes' }, 'OPTION_INVALID', 'privateMessages.allowSelf'],
      [{ canSend: true }, 'OPTION_INVALID', 'privateMessages.canSend'],
      [{ offline: {} }, 'OPTION_INVALID', 'privateMessages.offline'],
      [{ isElsewhere: false }, 'OPTION_INVALID', 'privateMessages.isElsewhere'],
      [{ maxReceipts: -1 }, 'OPTION_INVALID', 'privateMessages.maxReceipts'],
      [{ receiptTimeout: '1d' }, 'OPTION_INVALID', 'privateMessages.receiptTimeout'],
      [{ maxReceipt: 5 }, 'OPTION_UNKNOWN', 'privateMessages.maxReceipt'],
    ];

    for (const [options, code, path] of wrong) {
      it(`refuse ${JSON.stringify(options)} with ${code}, naming ${path}`, () => {
        expect(() => privateMessages(options)).to.throw(ModuleError, path).with.property('code', code);
      });
    }
  });

  it('is the same function from every export', () => {
    expect(privateMessages.privateMessages).to.equal(privateMessages);
  });
});

pluginSuite('private-messages', () => privateMessages(), {
  options: { ...QUIET, use: [byName] },
  exercise: async (started, client) => {
    expect(codeOf(await write(client, 'ben', 'hi'))).to.equal('AUTH_REQUIRED');
    const [anna, ben] = await Promise.all(['anna', 'ben'].map((user) => started.connect({ search: `?user=${user}` }))) as [Client, Client];
    const { content: { messageId } } = await write(anna, 'ben', 'hi');
    await ben.request({ type: 'message-read', messageId, ack: true });
    await Promise.all([anna.close(), ben.close()]);
    await eventually('both to be gone', () => started.manager.connections.size <= 1);
  },
});
