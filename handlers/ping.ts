import { definePlugin, type Plugin } from '../src/index.ts';

/**
 * Answers `ping` and `heartbeat` with `pong`. Its content is `clientTime`, the timestamp of the ping, and `serverTime`,
 * both in ISO 8601.
 *
 * @example manager.use(ping())
 */
export function ping(): Plugin<'ping'> {
  return definePlugin({
    name: 'ping',
    setup(context) {
      const answer = ({ timestamp }: { timestamp: string | undefined }): object => {
        const serverTime = new Date().toISOString();
        return { type: 'pong', timestamp: serverTime, content: { clientTime: timestamp ?? null, serverTime } };
      };
      for (const type of ['ping', 'heartbeat']) context.registerHandler(context.named(type), answer, { yields: true });
    },
  });
}

ping.ping = ping;
export { ping as default, ping as 'module.exports' };
