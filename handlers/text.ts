import { definePlugin, type Plugin } from '../src/index.ts';

/**
 * Acknowledges `text` messages. They are neither stored nor sent on. A handler of the application takes precedence.
 *
 * @example manager.use(text())
 */
export function text(): Plugin<'text'> {
  return definePlugin({
    name: 'text',
    setup(context) {
      context.registerHandler(context.named('text'), () => ({ type: 'ack' }), { yields: true });
    },
  });
}

text.text = text;
export { text as default, text as 'module.exports' };
