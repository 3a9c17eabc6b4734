import { readFileSync } from 'node:fs';
import ts from 'typescript';
import { connect, type Client, type ConnectOptions } from './client.ts';
import { packed, type Outcome, type RunOptions, type Running } from './packed.ts';

export type Form = 'cjs' | 'esm';

export interface Around {
  /** Supplies what a snippet leaves free. Written with `require`, like the snippets; where they are TypeScript, with `import`. */
  readonly before?: string;
  /** Goes on with what a snippet made. */
  readonly after?: string;
  /** Packages to import in the place of others. */
  readonly instead?: Readonly<Record<string, string>>;
  readonly env?: RunOptions['env'];
  /** What the snippet is written in. @default 'javascript' */
  readonly language?: 'javascript' | 'typescript';
}

export interface Serving extends Running {
  readonly port: string;
  readonly http: string;
  readonly connect: (options?: ConnectOptions & { path?: string; search?: string }) => Promise<Client>;
}

/** A manager on a server, for code that begins in the middle. */
export const manager = `
const WebSocketModule = require('websocket-module');
const http = require('http');
const server = http.createServer();
const wsManager = WebSocketModule.create({ server });
`;

// The snippets say port 3001, to listen and to connect. Their lines stay as they are: what the number means is changed.
const ephemeral = `{
  const net = process.getBuiltinModule('node:net');
  const { listen } = net.Server.prototype;
  net.Server.prototype.listen = function (where, ...rest) {
    this.once('listening', () => console.log('[port %d]', this.address().port));
    const elsewhere = where === 3001 ? 0 : where?.port === 3001 ? { ...where, port: 0 } : where;
    return listen.call(this, elsewhere, ...rest);
  };
  const { connect } = net;
  net.connect = (options, ...rest) => connect(Number(options.port) === 3001 ? { ...options, port: process.env.PORT } : options, ...rest);
}
`;

/** The text of a snippet, as it is in its document but for the paths it imports. */
export function snippet(name: string, document = 1): string {
  return readFileSync(new URL(`../snippets/document-${document}/${name}.txt`, import.meta.url), 'utf8');
}

/** Does it with the package required and with the package imported, side by side. */
export async function both(work: (form: Form) => Promise<void>): Promise<void> {
  await Promise.all((['cjs', 'esm'] as const).map((form) => work(form).catch((error: unknown) => {
    if (error instanceof Error) error.message = `${form}: ${error.message}`;
    throw error;
  })));
}

/** Runs code against the packed package, to its end. */
export async function run(form: Form, code: string, around: Around = {}): Promise<Outcome> {
  const { run: runProgram } = await packed();
  return runProgram(program(form, code, around), { type: form, ...(around.env ? { env: around.env } : {}) });
}

/** Runs code that listens. Stopped when the test is over. */
export async function serve(form: Form, code: string, around: Around = {}): Promise<Serving> {
  const { launch } = await packed();
  const running = launch(program(form, code, around), { type: form, ...(around.env ? { env: around.env } : {}) });
  const [, port = ''] = await running.until(/\[port (\d+)\]/);
  return {
    ...running,
    port,
    http: `http://localhost:${port}`,
    connect: ({ path = '/ws', search = '', ...rest } = {}) => connect(`ws://localhost:${port}${path}${search}`, rest),
  };
}

function program(form: Form, code: string, { before = '', after = '', instead = {}, language }: Around): string {
  const whole = `${before}\n${code}\n${after}`;
  if (language === 'typescript') return ephemeral + transpile(form, whole);
  const body = whole.replace(/(?<=require\(')[^']+/g, (path) => instead[path] ?? path);
  if (form === 'esm') return ephemeral + body.replace(/^const ([\w{} ,]+) = require\('(.+)'\);$/gm, 'import $1 from \'$2\';');
  // CommonJS has no top-level await, which some of the snippets use.
  return ephemeral + (/^(const \w+ = )?await /m.test(body) ? `(async () => {\n${body}\n})();` : body);
}

/** Transpiled and not checked: what stands around a snippet has no types. */
function transpile(form: Form, code: string): string {
  const module = form === 'esm' ? ts.ModuleKind.ESNext : ts.ModuleKind.CommonJS;
  const { outputText } = ts.transpileModule(code, { compilerOptions: { module, target: ts.ScriptTarget.ES2023, esModuleInterop: true } });
  return form === 'esm' ? outputText : `(async () => {\n${outputText}\n})();`;
}
