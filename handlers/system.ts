import { definePlugin, ModuleError, type Plugin } from '../src/index.ts';

/** Keeps `system` messages the server's own: a client that sends one is refused with SERVER_ONLY. */
export function system(): Plugin<'system'> {
  return definePlugin({
    name: 'system',
    setup(context) {
      const refuse = ({ type }: { type: string }): never => {
        throw new ModuleError('SERVER_ONLY', { type });
      };
      context.registerHandler('system', refuse, { yields: true });
    },
  });
}

system.system = system;
export { system as default, system as 'module.exports' };
