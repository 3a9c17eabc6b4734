import { isRecord } from '../protocol.ts';

/** Remedies for options of other packages, by their names. */
const ALIASES: Readonly<Record<string, string>> = {
  cors: 'the option "origins" allows pages of other origins: origins: [\'https://app.example.com\']',
  allowedOrigins: 'it is called "origins"',
  verifyClient: 'use a layer of type "upgrade", which throws to refuse',
  perMessageDeflate: 'load the layer "compression": use(\'compression\', { … })',
  maxHttpBufferSize: 'it is called "maxPayload"',
  maxMessageSize: 'it is called "maxPayload"',
  pingInterval: 'it is called "heartbeat.interval"',
  pingTimeout: 'it is called "heartbeat.timeout"',
  handleProtocols: 'it is called "protocols", a list of names',
  noServer: 'pass the http server as "server"; upgrades of other paths stay with its other listeners',
};

/** The remedy for an unknown option that another package has. */
export function hintForOption(name: string): string | undefined {
  return Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined;
}

/** The remedy for a server, an application or a port that was given instead of the options. */
export function hintForOptions(given: unknown): string | undefined {
  if (typeof given === 'number') return `write create({ port: ${given} })`;
  if (typeof given === 'function') return 'write create({ server: http.createServer(app) })';
  if (isListener(given)) return 'write create({ server })';
  return undefined;
}

/** The remedy for a value of `origins` that is not an exact origin. */
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

/** Whether a value is a server, or an application with the method `listen`. */
const isListener = (value: unknown): boolean => isRecord(value) && typeof value.listen === 'function';
