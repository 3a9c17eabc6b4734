import { definePlugin, ModuleError, type Plugin } from '../src/index.ts';

/**
 * Reserves `system` messages for the server: those of clients are rejected with SERVER_ONLY.
 *
 * @example manager.use(system())
 */
export function system(): Plugin<'system'> {
  return definePlugin({
    name: 'system',
    setup(context) {
      const refuse = ({ type }: { type: string }): never => {
        throw new ModuleError('SERVER_ONLY', { type });
      };
      context.registerHandler(context.named('system'), refuse, { yields: true });
    },
  });
}

system.system = system;
export { system as default, system as 'module.exports' };
