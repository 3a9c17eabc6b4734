import { definePlugin, type Plugin } from '../src/index.ts';

/**
 * Acknowledges text messages, and stores and forwards nothing: what a text message means is the application's to say, by a
 * handler of its own, to which this one yields.
 */
export function text(): Plugin<'text'> {
  return definePlugin({
    name: 'text',
    setup(context) {
      context.registerHandler('text', () => ({ type: 'ack' }), { yields: true });
    },
  });
}

text.text = text;
export { text as default, text as 'module.exports' };
