import { expect } from 'chai';
import { namespaces } from '../../plugins/namespaces.ts';
import { start } from '../support/start.ts';

describe('namespaces', () => {
  it('lets a client in, answers it there, and lets it go', async () => {
    const { manager, connect } = await start({ use: [namespaces()] });
    const chat = manager.of('/chat', { features: ['rooms'] });
    chat.registerHandler('say', ({ content }) => `you said ${content}`);
    const client = await connect();

    const connected = await client.request({ type: 'connect', namespace: '/chat' });
    const reply = await client.request({ type: 'say', namespace: '/chat', content: 'hi' });
    const parted = await client.request({ type: 'disconnect', namespace: '/chat' });
    const after = await client.request({ type: 'say', namespace: '/chat', content: 'hi' });

    const [connectionId] = manager.connections.keys();
    expect(connected).to.deep.include({ type: 'connected', namespace: '/chat', content: { namespace: '/chat', connectionId, features: ['rooms'] } });
    expect(reply).to.deep.include({ type: 'say', namespace: '/chat', content: 'you said hi' });
    expect(parted).to.deep.include({ type: 'disconnected', namespace: '/chat', content: { namespace: '/chat', reason: 'left' } });
    expect(after.content).to.include({ code: 'NAMESPACE_NOT_JOINED' });
  });
});
