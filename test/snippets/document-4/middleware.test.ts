import { expect } from 'chai';
import { packed } from '../../support/packed.ts';
import { both, snippet, type Form, type Serving } from '../../support/snippets.ts';
import { ask, listen, serve, sockets, store, tokenOf, told } from './around.ts';

/** The layers use the validation, and the validation uses names of the layers. */
const layers = (form: Form, after = ''): Promise<Serving> =>
  serve(
    form,
    snippet('4-06-middleware'),
    `${sockets}${store}const adminNamespace = io.of('/admin');\n${snippet('4-07-validation')}`,
    after + listen,
  );

const bearer = (name: string, claims?: object) => ({ headers: { authorization: `Bearer ${tokenOf(name, claims)}` } });

describe('layers for Socket.IO, by require and by import', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('ask for a token, and say what is wrong with it', async () => both(async (form) => {
    const { connect, until } = await layers(form);

    const anonymous = await told(await connect(), 'error');
    const forger = await told(await connect({ search: '?token=forged' }), 'error');
    const ann = await connect(bearer('Ann'));

    expect(anonymous).to.include({ code: 'CONNECTION_REFUSED', message: 'Authentication error: No token provided' });
    expect(forger).to.include({ message: 'Authentication error: Invalid token' });
    expect(await ask(ann, 'join room', { roomId: 'tea' })).to.deep.equal({
      success: true, data: { roomId: 'tea', joined: true },
    });
    const [, id] = await until(/新连接: (\S+), IP: \S*127\.0\.0\.1\n(?![^]*新连接)/);
    await ann.close();
    await until(new RegExp(`Socket ${id} 连接时长: \\d+ms`));
  }));

  it('ask for a role in a namespace of its own', async () => both(async (form) => {
    const { connect } = await layers(form);
    const [ann, root] = [await connect(bearer('Ann')), await connect(bearer('Root', { role: 'admin' }))];

    const refused = await ann.request({ type: 'connect', namespace: '/admin' });
    const welcome = await root.request({ type: 'connect', namespace: '/admin' });

    expect(refused.content.message).to.equal('Access denied: admin role required');
    expect(welcome.type).to.equal('connected');
  }));

  it('limit the attempts of a socket in a minute', async () => both(async (form) => {
    const { connect } = await layers(form);
    const client = await connect();
    await told(client, 'error');

    const said: string[] = [];
    for (let count = 0; count < 20; count++) {
      said.push(
        (await client.request({ type: 'connect', content: { token: 'forged' } })).content.message as string,
      );
    }

    expect(said).to.deep.equal([
      ...Array.from({ length: 19 }, () => 'Authentication error: Invalid token'), 'Rate limit exceeded',
    ]);
  }));

  it('check an event, answer it, and tell of its failures', async () => both(async (form) => {
    const { connect, until } = await layers(form);
    const [ann, bob] = [await connect(bearer('Ann')), await connect(bearer('Bob'))];
    await ask(bob, 'join room', { roomId: 'tea' });

    const joined = await ask(ann, 'join room', { roomId: 'tea' });
    const sent = await ask(ann, 'chat message', { content: ' <b>hello</b>, no SPAM ' });
    const refused = await ask(ann, 'chat message', { content: '' });

    expect(joined).to.deep.equal({ success: true, data: { roomId: 'tea', joined: true } });
    expect(await told(bob, 'user joined')).to.deep.equal({ userId: 'ann', username: 'Ann' });
    expect(sent.success).to.be.true;
    expect(sent.data).to.include({ id: 'message-1', from: 'ann', username: 'Ann', content: 'hello, no ***' });
    expect(await told(bob, 'chat message')).to.deep.equal(sent.data);
    expect(refused).to.deep.equal({ success: false, error: '数据验证失败: "content" is not allowed to be empty' });
    expect(await told(ann, 'error')).to.deep.equal({ event: 'chat message', message: refused.error });
    await until(/\[saved\] \{"id":"message-1"[^]+事件 chat message 处理错误: Error: 数据验证失败/);
  }));

  it('hold events to their schemas', async () => both(async (form) => {
    const { connect } = await layers(form, `
      io.on('connection', (socket) => socket.on('check', ([event, data], callback) => {
        try {
          callback({ value: validateEventData(event, data) });
        } catch ({ message }) {
          callback({ message });
        }
      }));\n`);
    const ann = await connect(bearer('Ann'));
    const check = (event: string, data: object) => ask(ann, 'check', [event, data]);

    expect(await check('create room', { roomId: 'tea', roomName: 'Tea' })).to.deep.equal({
      value: { roomId: 'tea', roomName: 'Tea', isPrivate: false, maxUsers: 100 },
    });
    expect(await check('create room', { roomId: 'tea', roomName: 'Tea', isPrivate: true })).to.deep.equal({
      message: '数据验证失败: "password" is required',
    });
    expect(await check('private message', { content: 'hello' })).to.deep.equal({ message: '数据验证失败: "to" is required' });
    expect(await check('chat message', { content: 'x'.repeat(1_001) })).to.have.property('message');
    expect(await check('dance', { any: 'thing' })).to.deep.equal({ value: true });
  }));
});
