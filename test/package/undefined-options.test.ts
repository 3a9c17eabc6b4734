import { createServer } from 'node:http';
import { expect } from 'chai';
import { WebSocketModule, type Options, type Usable } from '../../index.ts';
import { paths } from '../support/documents.ts';
import { cleanup } from '../support/cleanup.ts';
import { start } from '../support/start.ts';

/** The built-ins that take options: their file, the interface of their options, and what they are used after. */
const builtins: readonly (readonly [file: string, options: string, name: string, requires?: readonly string[]])[] = [
  ['plugins/batching', 'BatchingOptions', 'batching', ['rooms']],
  ['plugins/endpoints', 'EndpointsOptions', 'endpoints'],
  ['plugins/events', 'EventsOptions', 'events', ['namespaces']],
  ['plugins/history/history-options', 'HistoryOptions', 'history'],
  ['plugins/moderation', 'ModerationOptions', 'moderation', ['rooms']],
  ['plugins/monitoring', 'MonitoringOptions', 'monitoring'],
  ['plugins/namespaces', 'NamespacesOptions', 'namespaces'],
  ['plugins/presence', 'PresenceOptions', 'presence', ['rooms']],
  ['plugins/private-messages', 'PrivateMessagesOptions', 'private-messages'],
  ['plugins/recovery/recovery-options', 'RecoveryOptions', 'recovery', ['history']],
  ['plugins/rooms/rooms-options', 'RoomsOptions', 'rooms'],
  ['middleware/compression', 'CompressionOptions', 'compression'],
  ['middleware/connection-limits', 'ConnectionLimitsOptions', 'connection-limits'],
  ['middleware/error-handler', 'ErrorHandlerOptions', 'error-handler'],
  ['middleware/logging', 'LoggingOptions', 'logging'],
  ['middleware/permissions', 'PermissionsOptions', 'permissions'],
  ['middleware/rate-limit', 'RateLimitOptions', 'rate-limit'],
  ['middleware/validation', 'ValidationOptions', 'validation'],
  ['handlers/admin', 'AdminOptions', 'admin', ['permissions']],
  ['handlers/init', 'InitOptions', 'init'],
];

/** Every option with the value `undefined`: `{ a: undefined, b: { c: undefined } }`. */
function undefinedOptions(file: string, type: string): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const path of paths(file, type)) {
    const [name = '', field] = path.split('.');
    if (field === undefined) options[name] = undefined;
    else options[name] = { ...options[name] as object | undefined, [field]: undefined };
  }
  return options;
}

describe('an option that is undefined', () => {
  it('counts as left out in create()', async () => {
    const server = createServer();
    const create = (options: Options) => {
      const manager = WebSocketModule.create(options);
      cleanup(() => manager.stop());
      return manager;
    };
    const [bare, spelt] = [
      create({ server }), create({ ...undefinedOptions('src/runtime/options.ts', 'Options'), server, path: '/other' }),
    ];

    await Promise.all([bare.ready(), spelt.ready()]);

    expect(spelt.inspect()).to.deep.equal(bare.inspect());
  });

  for (const [file, type, name, requires = []] of builtins) {
    it(`counts as left out in ${name}`, async () => {
      const options = undefinedOptions(`${file}.ts`, type);
      const handlers = ['text', 'ping', 'system', ...(name === 'init' ? [] : ['init'])];
      const [bare, spelt] = await Promise.all([undefined, options].map(async (given) => {
        const { manager } = await start({ handlers, use: requires as readonly Usable[] });
        await manager.use(name as never, given).ready();
        return manager.inspect();
      }));

      expect(Object.keys(options)).to.not.be.empty;
      expect(spelt).to.deep.equal(bare);
    });
  }
});
