import { expect } from 'chai';
import { definePlugin } from '../../../index.ts';
import { start } from '../../support/start.ts';

describe('the option naming', () => {
  for (const [naming, expected] of [[undefined, 'room-joined'], ['kebab', 'room-joined'], ['snake', 'room_joined'], ['space', 'room joined']] as const) {
    it(`names a plugin's own types ${expected} for ${naming ?? 'an application that chose none'}`, async () => {
      let given: string | undefined;
      const plugin = definePlugin({ name: 'rooms-of-mine', setup: (context) => void (given = context.named('room-joined')) });

      await start({ ...(naming === undefined ? {} : { naming }), use: [plugin] });

      expect(given).to.equal(expected);
    });
  }
});
