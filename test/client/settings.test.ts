import { expect } from 'chai';
import { ClientError, WebSocketClient } from '../../client/index.ts';
import { rows } from '../support/documents.ts';
import { resolveSettings } from '../../client/settings.ts';

const url = 'wss://example.com/ws';

/** The problems that the client finds in a configuration. */
function problems(config: object): readonly string[] {
  try {
    new WebSocketClient({ url, ...config });
  } catch (error) {
    expect(error).to.be.instanceOf(ClientError).and.to.include({ code: 'CONFIG_INVALID' });
    return (error as ClientError).details['problems'] as string[];
  }
  return [];
}

describe('the options of a client', () => {
  const refused: readonly (readonly [config: object, problem: string])[] = [
    [{ url: '' }, 'url: it must be the address of the server, such as wss://example.com/ws'],
    [{ url: 5 }, 'url: it must be a string'],
    [{ urls: [] }, 'urls: there is no such option'],
    [{ auth: 'token' }, 'auth: it must be an object'],
    [{ auth: { getToken: 'x' } }, 'auth.getToken: it must be a function'],
    [{ auth: { via: 'header' } }, 'auth.via: it must be one of message, protocol, query'],
    [{ reconnect: { delay: 5 } }, 'reconnect.delay: there is no such option'],
    [{ reconnect: { maxDelay: NaN } }, 'reconnect.maxDelay: it must be a number of at least 0'],
    [{ reconnect: { jitter: 2 } }, 'reconnect.jitter: it must be at most 1'],
    [{ reconnect: { backoffFactor: 0.5 } }, 'reconnect.backoffFactor: it must be a number of at least 1'],
    [{ heartbeat: { interval: -1 } }, 'heartbeat.interval: it must be a number of at least 1'],
    [{ protocols: 'chat' }, 'protocols: it must be a list'],
    [{ debug: { logLevel: 'trace' } }, 'debug.logLevel: it must be one of debug, info, warn, error'],
    [{ message: { compression: false } }, 'message.compression: browsers give no control over it'],
    [{ transport: { websocket: { frames: { maxFrameSize: 1 } } } }, 'transport.websocket.frames: browsers give no control over it'],
    [{ transport: { polling: { enabled: true, interval: 0 } } }, 'transport.polling.interval: it must be a number of at least 1'],
    [{ transport: { polling: { enabled: true, timeout: 10 } } }, 'transport.polling.timeout: it must be a number of at least 1000'],
    [{ transport: { polling: { enabled: true, interval: 50, maxInterval: 20 } } }, 'transport.polling.maxInterval: it must be at least transport.polling.interval'],
    [{ transport: { polling: true }, reconnect: { enabled: false } }, 'transport.polling.enabled: the next attempt takes it, so reconnect must allow one'],
    [{ transport: { polling: true }, reconnect: { maxAttempts: 0 } }, 'transport.polling.enabled: the next attempt takes it, so reconnect must allow one'],
    [{ transport: { websocket: false } }, 'transport.websocket.enabled: without it, transport.polling must be enabled'],
    [{ transport: { polling: 'yes' } }, 'transport.polling: it must be an object'],
    [{ state: { persistence: { enabled: true } } }, 'state.persistence: use websocket-module/client/offline'],
    [{ state: { offline: { enabled: true } } }, 'state.offline: use websocket-module/client/offline'],
  ];
  for (const [config, problem] of refused) {
    it(`refuse ${JSON.stringify(config)} by name`, () => {
      expect(problems(config)).to.include(problem);
    });
  }

  it('are all checked before one error names all problems', () => {
    expect(problems({ urls: [], reconnect: { maxDelay: -1 } })).to.have.length(2);
  });

  it('accept undefined, and sections that are switched off', () => {
    const config = {
      auth: undefined, reconnect: { enabled: undefined }, heartbeat: { interval: undefined },
      transport: { polling: { enabled: false, interval: 1_000 } }, state: { offline: { enabled: false, queueSize: 5 } },
    };

    expect(problems(config)).to.deep.equal([]);
  });

  it('accept the configuration of the specification', () => {
    const config = {
      auth: { type: 'jwt', token: 'your-jwt-token', getToken: async () => 'a', refreshToken: async () => 'b' },
      reconnect: { enabled: true, maxAttempts: 10, initialDelay: 1000, maxDelay: 30000, backoffFactor: 1.5, jitter: 0.1 },
      heartbeat: { enabled: true, interval: 25000, timeout: 10000, pingMessage: { type: 'ping' }, pongMessage: { type: 'pong' } },
      message: { maxSize: 1024 * 1024, compression: true, queue: { enabled: true, maxSize: 1000, retryOnReconnect: true } },
      buffer: { send: { maxSize: 1000, flushInterval: 100, priority: true }, receive: { maxSize: 5000, processInterval: 10, batchSize: 50 } },
      debug: { enabled: false, logLevel: 'info', logMessages: true },
    };

    expect(problems(config)).to.deep.equal([]);
  });

  it('accept long polling, in its long and its short form', () => {
    const polling = { enabled: true, interval: 1000, maxInterval: 30000, timeout: 60000 };

    expect(problems({ transport: { websocket: { maxPayload: 1024 * 1024 }, polling } })).to.deep.equal([]);
    expect(problems({ transport: { websocket: true, polling: true } })).to.deep.equal([]);
    expect(problems({ transport: { websocket: false, polling: true }, reconnect: { enabled: false } })).to.deep.equal([]);
  });

  it('are listed in docs/CLIENT.md with their defaults', () => {
    const flat = (value: object, path = ''): [string, unknown][] => Object.entries(value).flatMap(([key, each]) => {
      const isTree = typeof each === 'object' && each !== null && !Array.isArray(each) && !('type' in each && path.startsWith('heartbeat')) && key !== 'logger';
      return isTree ? flat(each as object, `${path}${key}.`) : [[path + key, each] as [string, unknown]];
    });
    const source = new Map(flat(resolveSettings({ url })));
    const documented = rows('docs/CLIENT.md', 'option');

    expect(documented.map(([name]) => name)).to.have.members([...source.keys()]);
    for (const [name = '', given = ''] of documented) {
      const value = source.get(name);
      if (typeof value === 'number') expect(given.replaceAll(',', ''), name).to.equal(String(value));
      if (typeof value === 'boolean') expect(given, name).to.equal(String(value));
    }
  });
});
