import { isRecord } from '../protocol.ts';

/** What options of other packages are called here. */
const ALIASES: Readonly<Record<string, string>> = {
  cors: 'pages of other origins are allowed by "origins": [\'https://app.example.com\']',
  allowedOrigins: 'it is called "origins"',
  verifyClient: 'use a layer of type "upgrade", which throws to refuse',
  perMessageDeflate: 'load the layer "compression": use(\'compression\', { … })',
  maxHttpBufferSize: 'it is called "maxPayload"',
  maxMessageSize: 'it is called "maxPayload"',
  pingInterval: 'it is called "heartbeat.interval"',
  pingTimeout: 'it is called "heartbeat.timeout"',
  handleProtocols: 'it is called "protocols", a list of names',
  noServer: 'give the http server as "server"; upgrades of other paths are left to its other listeners',
};

/** The remedy for an option that has another name here. */
export function hintForOption(name: string): string | undefined {
  return Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined;
}

/** The remedy for what was given in place of the options: a server, an application, a port. */
export function hintForOptions(given: unknown): string | undefined {
  if (typeof given === 'number') return `write create({ port: ${given} })`;
  if (typeof given === 'function') return 'write create({ server: http.createServer(app) })';
  if (isListener(given)) return 'write create({ server })';
  return undefined;
}

/** The remedy for an origin that is not exactly one. */
export function hintForOrigins(given: unknown): string | undefined {
  for (const item of Array.isArray(given) ? (given as unknown[]) : [given]) {
    if (typeof item !== 'string') continue;
    if (item.includes('*') && item !== '*') return `list each origin; a pattern like "${item}" is not supported`;
    const { origin = 'null' } = URL.canParse(item) ? new URL(item) : {};
    if (origin === 'null') {
      const isHost = item !== 'null' && /^[\w.-]+(?::\d+)?$/.test(item);
      if (isHost) return `an origin begins with its scheme: write "https://${item}" or "http://${item}"`;
    } else if (origin !== item.toLowerCase()) return `write "${origin}" instead of "${item}"`;
    else if (!Array.isArray(given)) return `write origins: ['${origin}']`;
  }
  return undefined;
}

/** Whether a value is a server, or an application that can listen by itself. */
const isListener = (value: unknown): boolean => isRecord(value) && typeof value.listen === 'function';
