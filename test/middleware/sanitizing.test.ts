import { expect } from 'chai';
import { z } from 'zod';
import { definePlugin, type MessageLayer, type Usable } from '../../index.ts';
import { admin } from '../../handlers/admin.ts';
import { permissions } from '../../middleware/permissions.ts';
import { validation, type ValidationOptions } from '../../middleware/validation.ts';
import { createSanitizer } from '../../middleware/validation/sanitizer.ts';
import { moderation } from '../../plugins/moderation.ts';
import { namespaces } from '../../plugins/namespaces.ts';
import { presence } from '../../plugins/presence.ts';
import { privateMessages } from '../../plugins/private-messages.ts';
import { rooms } from '../../plugins/rooms.ts';
import { start } from '../support/start.ts';
import { fastestInTurns, takesAtMost, withinAllowance } from '../support/timing.ts';

const QUIET = { logger: { debug() {}, info() {}, warn() {}, error() {} } };
const users: Readonly<Record<string, object>> = {
  'ann': { id: 'ann', username: 'Ann & Co', roles: ['admin'] }, 'bob': { id: 'bob', username: '<b>Bob</b>' }, 'o\'brien': { id: 'o\'brien' },
};
const byName: Usable = {
  type: 'connection',
  name: 'by-name',
  handler: (_ws, { url }) => ({ user: users[new URL(url, 'http://host').searchParams.get('user')!] }),
};

async function serve(use: readonly Usable[], options: ValidationOptions = {}) {
  const started = await start({ ...QUIET, use: [byName, validation({ enableSanitization: true, ...options }), ...use] });
  return { ...started, as: (user: string) => started.connect({ search: `?user=${encodeURIComponent(user)}` }) };
}

describe('sanitizing', () => {
  describe('of the application\'s own types', () => {
    const names: MessageLayer = { type: 'message', name: 'later', handler: (_message, _connection, next) => next() };

    for (const [where, message] of [
      ['beside the envelope', { text: '<b>' }], ['in content', { content: { text: '<b>' } }], ['in data', { data: { text: '<b>' } }],
      ['beside a content', { text: '<b>', content: 'x' }], ['beside an object', { text: '<b>', content: { other: '"' } }],
    ] as const) {
      it(`reaches the handler by each name of a text ${where}`, async () => {
        const { manager, as } = await serve([]);
        manager.registerHandler('see', ({ payload, content, fields }) => ({ type: 'seen', content: [payload.text, JSON.stringify([payload, content, fields])] }));

        const { content: [text, all] } = await (await as('ann')).request({ type: 'see', ...message });

        expect(text).to.equal('&lt;b&gt;');
        expect(all).to.not.match(/<|\\"{2}/);
      });
    }

    it('is the last step: layers and schemas read the original text, whatever the order of use', async () => {
      const seen: unknown[] = [];
      const see: MessageLayer = { ...names, handler(message, _connection, next) { seen.push(message.payload.text); return next(); } };
      const schemas = { see: z.object({ text: z.string().max(3) }) };
      const { manager, as } = await serve([{ ...see, name: 'after' }], { schemas });
      manager.use({ ...see, name: 'later still' });
      manager.registerHandler('see', ({ payload }) => ({ type: 'seen', content: payload.text }));

      const { content } = await (await as('ann')).request({ type: 'see', text: '<&>' });

      expect(seen).to.deep.equal(['<&>', '<&>']);
      expect(content).to.equal('&lt;&amp;&gt;');
    });

    it('does not change identifiers', async () => {
      const { manager, as } = await serve([]);
      manager.registerHandler('see', ({ payload }) => ({ type: 'seen', content: payload }));
      const content = { id: 'R&B', userId: 'o\'brien', room: 'a/b', to: ['x&y'], token: 'a/b', password: '"', title: '<', deep: [{ roomId: '&', note: '&' }], Id: '&' };

      const reply = await (await as('ann')).request({ type: 'see', content });

      expect(reply.content).to.deep.equal({ ...content, title: '&lt;', deep: [{ roomId: '&', note: '&amp;' }] });
    });

    it('escapes values other than strings under the key of an identifier', async () => {
      expect(createSanitizer(['to'])({ to: { name: '<' }, list: { to: ['a', { b: '<' }] } })).to.deep.equal({ to: { name: '&lt;' }, list: { to: ['a', { b: '&lt;' }] } });
    });

    it('treats other keys as identifiers when the application names them', async () => {
      const { manager, as } = await serve([], { identifiers: ['code', '*Ref'] });
      manager.registerHandler('see', ({ payload }) => ({ type: 'seen', content: payload }));

      const { content } = await (await as('ann')).request({ type: 'see', content: { code: '<', userRef: '<', id: '<' } });

      expect(content).to.deep.equal({ code: '<', userRef: '<', id: '&lt;' });
    });

    it('leaves a plugin\'s handler that is raw to escape its text itself', async () => {
      const { manager, as } = await serve([definePlugin({
        name: 'notes',
        setup(context) {
          context.registerHandler('note', ({ payload }) => ({ type: 'noted', content: [payload.text, context.escape(payload.text)] }), { raw: true });
        },
      })]);
      const client = await as('ann');

      const { content } = await client.request({ type: 'note', text: '<' });
      await manager.unload('validation');
      const without = await client.request({ type: 'note', text: '<' });

      expect(content).to.deep.equal(['<', '&lt;']);
      expect(without.content).to.deep.equal(['<', '<']);
    });

    it('is done once when several layers sanitize', async () => {
      const { manager, as } = await serve([]);
      manager.use(validation({ enableSanitization: true }), { name: 'second' });
      manager.registerHandler('see', ({ payload }) => ({ type: 'seen', content: payload.text }));

      expect((await (await as('ann')).request({ type: 'see', text: '&' })).content).to.equal('&amp;');
    });

    it('is done in namespaces, once, by the manager\'s layer or their own', async () => {
      const { manager, as } = await start({ ...QUIET, use: [byName, namespaces()] }).then((started) => (
        { ...started, as: (user: string) => started.connect({ search: `?user=${user}` }) }));
      const chat = manager.of('/chat');
      chat.registerHandler('say', ({ payload }) => ({ type: 'said', content: payload.text }));
      const client = await as('ann');
      await client.request({ type: 'connect', namespace: '/chat' });
      const say = async () => (await client.request({ type: 'say', namespace: '/chat', text: 'a & b' })).content;

      const before = await say();
      const undo = chat.use(validation({ enableSanitization: true }));
      const own = await say();
      manager.use(validation({ enableSanitization: true }));
      const both = await say();
      undo();

      expect([before, own, both, await say()]).to.deep.equal(['a & b', 'a &amp; b', 'a &amp; b', 'a &amp; b']);
    });
  });

  describe('of the built-in types', () => {
    it('does not change the user id of a ban', async () => {
      const { as } = await serve([permissions({ roles: { admin: ['*'] } }), admin({ ranks: ['admin'] })]);
      const [ann, brien] = [await as('ann'), await as('o\'brien')];

      const { content } = await ann.request({ type: 'admin-ban', userId: 'o\'brien', reason: 'a & b' });

      expect(content).to.include({ closed: 1 });
      expect((await brien.next('banned')).content.reason).to.equal('a &amp; b');
    });

    it('escapes announcements of administrators', async () => {
      const { as } = await serve([permissions({ roles: { admin: ['*'] } }), admin({ ranks: ['admin'] })]);
      const [ann, bob] = [await as('ann'), await as('bob')];

      await ann.request({ type: 'admin-broadcast', content: { text: '<h1>' } });

      expect((await bob.next('admin-message')).content).to.deep.equal({ content: { text: '&lt;h1&gt;' }, from: 'Ann &amp; Co' });
    });

    it('keeps the room id, and escapes the room name, the messages and the names of their senders', async () => {
      const { manager, as } = await serve([rooms()]);
      await manager.api('rooms').create('R&B');
      const [ann, bob] = [await as('ann'), await as('bob')];

      const joined = await ann.request({ type: 'join-room', roomId: 'R&B' });
      await bob.request({ type: 'join-room', room: 'R&B' });
      await bob.request({ type: 'room-message', roomId: 'R&B', content: '<i>hi</i>', ack: true });

      expect(joined.content).to.include({ roomId: 'R&B', name: 'R&amp;B' });
      expect((await ann.next('user-joined')).content.username).to.equal('&lt;b&gt;Bob&lt;&#x2F;b&gt;');
      expect((await ann.next('room-message')).content).to.include({ roomId: 'R&B', content: '&lt;i&gt;hi&lt;&#x2F;i&gt;', username: '&lt;b&gt;Bob&lt;&#x2F;b&gt;' });
    });

    it('checks length and words before escaping', async () => {
      const { manager, as } = await serve([rooms(), moderation({ bannedWords: ['free & money', 'free money'], maxWarnings: false })]);
      await manager.api('rooms').create('lobby', { message: { maxLength: 19 } });
      const ann = await as('ann');
      await ann.request({ type: 'join-room', roomId: 'lobby' });
      const say = async (content: string) => (await ann.request({ type: 'room-message', roomId: 'lobby', content, ack: true })).content?.code;

      expect(await say('\''.repeat(19))).to.equal(undefined);
      expect(await say('\''.repeat(20))).to.equal('MESSAGE_TOO_LONG');
      expect(await say('free & money')).to.equal('CONTENT_REJECTED');
      expect(await say('free - money')).to.equal('CONTENT_REJECTED');
    });

    it('escapes the reason of a moderator', async () => {
      const { manager, as } = await serve([rooms()]);
      const [ann, bob] = [await as('ann'), await as('bob')];
      await manager.api('rooms').create('lobby', { owner: 'ann' });
      for (const client of [ann, bob]) await client.request({ type: 'join-room', roomId: 'lobby' });

      await ann.request({ type: 'room-kick', roomId: 'lobby', userId: 'bob', reason: '<script>' });

      expect((await bob.next('kicked')).content.reason).to.equal('&lt;script&gt;');
    });

    it('escapes private messages once, after their length and words were checked', async () => {
      const { as } = await serve([rooms(), privateMessages({ maxLength: 3 }), moderation({ bannedWords: ['a&b'], privateMessages: true })]);
      const [ann, brien] = [await as('ann'), await as('o\'brien')];
      const write = async (content: unknown) => (await ann.request({ type: 'private-message', to: 'o\'brien', content })).content.code;

      expect(await write('<&>')).to.equal(undefined);
      expect(await write('a&b')).to.equal('CONTENT_REJECTED');
      expect((await brien.next('private-message')).content).to.deep.equal({ from: 'ann', to: 'o\'brien', content: '&lt;&amp;&gt;' });
      await ann.send({ type: 'private-typing', to: 'o\'brien', isTyping: true });
      expect((await brien.next('private-typing')).content).to.deep.equal({ from: 'ann', to: 'o\'brien', username: 'Ann &amp; Co', isTyping: true });
    });

    it('escapes the names of present users', async () => {
      const { as } = await serve([rooms(), presence()]);
      const ann = await as('ann');

      const { content } = await ann.request({ type: 'get-online-users' });

      expect(content.users).to.deep.equal([{ userId: 'ann', username: 'Ann &amp; Co' }]);
    });
  });

  describe('costs', () => {
    const sanitize = createSanitizer(['id']);

    it('nothing when there is nothing to escape: the value is returned itself', () => {
      const value = { id: '<', list: ['a', { b: 'c' }], count: 1, nothing: null };

      expect(sanitize(value)).to.equal(value);
    });

    it('no copy of unchanged parts', () => {
      const value = { stays: { a: ['b'] }, changes: '<' };

      expect(sanitize(value).stays).to.equal(value.stays);
    });

    it('no more for a deeply nested text', async () => {
      const nested = (depth: number): unknown => (depth === 0 ? '<' : { before: 'x', a: nested(depth - 1), after: ['<'] });
      const [flat, deep] = [nested(4), nested(60)];

      await withinAllowance(6, async () => {
        const took = await fastestInTurns(5, { flat: () => sanitize(flat), deep: () => sanitize(deep) });
        return { 'ms for the deep one': { value: took.deep, allowed: Math.max(5, 60 * took.flat) } };
      });
    });

    it('HOSTILE 41: less than 20 ms per turn for the largest texts, whatever they contain', async () => {
      for (const text of ['<', '&"\'', 'plain text ', '\u0000', 'привет & ', 'a<']) {
        const value = { text: text.repeat(65_536 / text.length), list: Array<string>(1_000).fill(text) };
        await takesAtMost(20, JSON.stringify(text), () => sanitize(value));
      }
    });
  });

  it('rejects the option identifiers when sanitizing is off', () => {
    expect(() => validation({ identifiers: ['id'] })).to.throw('"validation.identifiers" must be used with enableSanitization: true');
    for (const key of ['a*', '*', '**']) expect(() => validation({ enableSanitization: true, identifiers: [key] })).to.throw('validation.identifiers');
  });
});
