import { expect } from 'chai';
import jwt from 'jsonwebtoken';
import { z } from 'zod';
import { auth } from '../../../handlers/auth-handler.ts';
import { permissions } from '../../../middleware/permissions.ts';
import { rateLimit } from '../../../middleware/rate-limit.ts';
import { validation } from '../../../middleware/validation.ts';
import { definePlugin, type Plugin, type Usable } from '../../../index.ts';
import { start } from '../../support/start.ts';
import { code, enter, entered } from './entering.ts';

const jwtSecret = 'a secret of at least thirty-two bytes';
const token = jwt.sign({ sub: 'ann', roles: ['user'] }, jwtSecret, { expiresIn: 60 });

/** A manager with namespaces, to which something is added afterwards. */
async function after(...use: Usable[]) {
  const started = await start({ plugins: ['namespaces'] });
  started.manager.of('/chat').registerHandler('say-it', ({ payload }) => payload);
  await started.manager.use(use).ready();
  return started;
}

const say = (client: { request(message: { type: string }): Promise<any> }, content: unknown = 'hi') =>
  client.request({ type: 'say_it', namespace: '/chat', content } as { type: string });

describe('what is used after namespaces holds inside them', () => {
  it('auth: an anonymous client neither enters nor is heard', async () => {
    const { connect } = await after(auth({ jwtSecret, allowAnonymous: true, requireAuth: true }));
    const client = await connect();

    expect(await code(enter(client, '/chat'))).to.equal('AUTH_REQUIRED');
    expect(await code(say(client))).to.equal('AUTH_REQUIRED');
    await client.request({ type: 'auth', content: { token } });
    await entered(client, '/chat');
    expect((await say(client)).content).to.equal('hi');
  });

  it('permissions: a type that needs one is refused without it, in every spelling', async () => {
    const rules = { 'say-it': 'talk' };
    const { connect } = await after(auth({ jwtSecret, allowAnonymous: true }), permissions({ rules }));
    const client = await entered(await connect({ search: `?token=${token}` }), '/chat');

    for (const type of ['say-it', 'say_it', 'say it']) {
      expect(await code(client.request({ type, namespace: '/chat' })), type).to.equal('FORBIDDEN');
    }
  });

  it('rate-limit: messages beyond the rate are refused', async () => {
    const { connect } = await after(rateLimit({ maxPerMinute: 60, burstSize: 3, muteAfter: 1_000, closeAfter: false }));
    const client = await entered(await connect(), '/chat');

    const answers = [await say(client), await say(client), await say(client)];

    expect(answers.map(({ content }) => content.code ?? content)).to.deep.equal(['hi', 'hi', 'RATE_LIMITED']);
  });

  it('validation: a schema is asked under the registered type, and its value replaces the payload', async () => {
    const schema = z.string().max(3).transform((text) => text.toUpperCase());
    const { connect } = await after(validation({ schemas: { 'say-it': schema } }));
    const client = await entered(await connect(), '/chat');

    expect(await code(say(client, 'far too long'))).to.equal('VALIDATION_FAILED');
    expect((await say(client, 'hi')).content).to.equal('HI');
  });

  it('a layer and a plugin of the application: they see the registered type', async () => {
    const seen: string[] = [];
    const look = (name: string): Plugin => definePlugin<string>({
      name,
      setup(context) {
        context.use({
          type: 'message',
          handler(message, _, next) {
            seen.push(`${name} ${message.type}`);
            return next();
          },
        });
      },
    });
    const { connect } = await after(look('first'), look('second'));
    const client = await entered(await connect(), '/chat');

    await say(client);

    expect(seen).to.deep.equal(['first connect', 'second connect', 'first say-it', 'second say-it']);
  });
});
