import { definePlugin, type Plugin } from '../src/index.ts';

/**
 * Acknowledges messages of a chat: `text`, `image`, `file`, `audio` and `read`. They are neither stored nor sent on. A
 * handler of the application takes precedence.
 *
 * @example manager.use(text())
 */
export function text(): Plugin<'text'> {
  return definePlugin({
    name: 'text',
    setup(context) {
      for (const type of ['text', 'image', 'file', 'audio', 'read']) {
        context.registerHandler(context.named(type), () => ({ type: 'ack' }), { yields: true });
      }
    },
  });
}

text.text = text;
export { text as default, text as 'module.exports' };
