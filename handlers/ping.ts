import { definePlugin, type Plugin } from '../src/index.ts';

/** Answers `ping` with `pong`, which tells when the ping was sent and when it was answered, in ISO 8601. */
export function ping(): Plugin<'ping'> {
  return definePlugin({
    name: 'ping',
    setup(context) {
      const answer = ({ timestamp }: { timestamp: string | undefined }): object => {
        const serverTime = new Date().toISOString();
        return { type: 'pong', timestamp: serverTime, content: { clientTime: timestamp ?? null, serverTime } };
      };
      context.registerHandler('ping', answer, { yields: true });
    },
  });
}

ping.ping = ping;
export { ping as default, ping as 'module.exports' };
