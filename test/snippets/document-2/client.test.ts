import { expect } from 'chai';
import { faultProxy } from '../../support/fault-proxy.ts';
import { both, snippet } from '../../support/snippets.ts';
import { eventually } from '../../support/timing.ts';
import { readyPackage, runClient } from '../client-program.ts';
import { chat, people } from './around.ts';

/** The names that the block leaves free. */
const freeNames = `
  const authService = { getAccessToken: async () => 'ada', refreshToken: async () => 'ada' };
  const displayMessage = ({ content }) => {
    console.log('displayed', content);
    setTimeout(() => process.exit(0), 50);
  };
  const showNotification = (text) => console.log(text);
  const updateTypingIndicator = (userId, isTyping) => console.log(userId, isTyping ? 'types' : 'stopped');
`;

describe('block 2-03, a chat client', function () {
  this.timeout(60_000);

  before(readyPackage);

  it('talks to the server of block 2-02, and hears the others', async () => both(async (form) => {
    const server = await chat(form);
    const [bob] = await people(server, 'bob');

    const lines = runClient(form, snippet('2-03-client'), {
      server: { url: `ws://127.0.0.1:${server.port}/ws` }, language: 'typescript', before: freeNames,
    });
    await bob.request({ type: 'join_room', data: { roomId: 'general' }, ack: true });
    const said = (await bob.next('chat_message', 20_000))['data'];
    const typing = (await bob.next('user_typing'))['data'];
    await bob.request({ type: 'chat_message', data: { roomId: 'general', content: 'Hello Ada!' }, ack: true });

    expect(said).to.include({ userId: 'ada', content: 'Hello everyone!', roomId: 'general' });
    expect(typing).to.include({ userId: 'ada', isTyping: true });
    expect(await lines).to.include.members([
      'log Connected to chat server', 'log Chat client connected', 'log [general] Bob: Hello Ada!', 'log displayed Hello Ada!',
    ]);
  }));

  it('loses no message while the link flaps', async () => both(async (form) => {
    const server = await chat(form);
    const proxy = await faultProxy(Number(server.port));
    const [bob] = await people(server, 'bob');
    await bob.request({ type: 'join_room', data: { roomId: 'general' }, ack: true });

    const lines = runClient(form, snippet('2-03-client'), {
      server: { url: `ws://127.0.0.1:${proxy.port}/ws` }, language: 'typescript', before: freeNames,
      after: `
        const sent = [];
        for (let number = 0; number < 100; number++) {
          sent.push(chatClient.sendMessage('general', 'note ' + number));
          await new Promise((resolve) => setTimeout(resolve, 40));
        }
        await Promise.all(sent);
        process.exit(0);
      `,
    });
    const notes = (): number => new Set(bob.messages.filter(({ type }) => type === 'chat_message').map(({ data }) => data.content as string)).size;
    for (let flap = 1; flap <= 4; flap++) {
      await eventually('a new connection', () => proxy.count === flap || proxy.count, 20_000);
      const seen = notes();
      await eventually('more messages', () => notes() > seen + 2 || notes(), 20_000);
      proxy.reset();
    }

    expect((await lines).filter((line) => line.startsWith('log Reconnected')).length).to.equal(4);
    await eventually('all messages', () => notes() === 101 || notes());
  }));
});
