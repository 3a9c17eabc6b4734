import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { connect, type Client, type ConnectOptions } from './client.ts';
import { packed, type Outcome, type RunOptions, type Running } from './packed.ts';

export type Form = 'cjs' | 'esm';

export interface Around {
  /**
   * Supplies the names that a snippet leaves free. It uses `require` where the snippet is JavaScript, and `import`
   * where it is TypeScript.
   */
  readonly before?: string;
  /** Goes on after the snippet. */
  readonly after?: string;
  /** Packages to import in the place of others. */
  readonly instead?: Readonly<Record<string, string>>;
  /** CommonJS code that stands in for a module, by its name. */
  readonly standIns?: Readonly<Record<string, string>>;
  readonly env?: RunOptions['env'];
  /** The language of the snippet. @default 'javascript' */
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

// The snippets listen on and connect to port 3001. Their lines stay as they are; the meaning of the number changes.
const ephemeral = `{
  const net = process.getBuiltinModule('node:net');
  const { listen } = net.Server.prototype;
  net.Server.prototype.listen = function (where, ...rest) {
    this.once('listening', () => console.log('[port %d]', this.address().port));
    const elsewhere = where === 3001 ? 0 : where?.port === 3001 ? { ...where, port: 0 } : where;
    return listen.call(this, elsewhere, ...rest);
  };
  const { connect } = net;
  net.connect = (options, ...rest) => connect(
    Number(options.port) === 3001 ? { ...options, port: process.env.PORT } : options, ...rest,
  );
}
`;

/** The text of a block, by the name of its copy: `1-02-quick-start`. Only the modules that it imports are others. */
export function snippet(name: string): string {
  return readFileSync(new URL(`../snippets/document-${name.charAt(0)}/${name}.txt`, import.meta.url), 'utf8');
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
  return runProgram(
    program(form, code, await withStandIns(around)), { type: form, ...(around.env ? { env: around.env } : {}) },
  );
}

/** Runs code that listens. Stopped when the test is over. */
export async function serve(form: Form, code: string, around: Around = {}): Promise<Serving> {
  const { launch } = await packed();
  const running = launch(
    program(form, code, await withStandIns(around)), { type: form, ...(around.env ? { env: around.env } : {}) },
  );
  const [, port = ''] = await running.until(/\[port (\d+)\]/);
  return {
    ...running,
    port,
    http: `http://localhost:${port}`,
    connect: ({ path = '/ws', search = '', ...rest } = {}) => connect(`ws://localhost:${port}${path}${search}`, rest),
  };
}

let standIns = 0;

/** Writes each stand-in into a file beside the program, and has it imported in the place of its module. */
async function withStandIns({ standIns: modules = {}, ...around }: Around): Promise<Around> {
  const { dir } = await packed();
  const instead = Object.entries(modules).map(([name, code]) => {
    const file = `stand-in-${process.pid}-${++standIns}.cjs`;
    writeFileSync(join(dir, file), code);
    return [name, `./${file}`] as const;
  });
  return { ...around, instead: { ...around.instead, ...Object.fromEntries(instead) } };
}

function program(form: Form, code: string, { before = '', after = '', instead = {}, language }: Around): string {
  const whole = `${before}\n${code}\n${after}`;
  if (language === 'typescript') return ephemeral + transpile(form, whole);
  const body = whole.replace(/(?<=require\(')[^']+/g, (path) => instead[path] ?? path);
  if (form === 'esm') {
    return ephemeral + body.replace(
      /^const ([\w{} ,]+) = require\('(.+)'\);$/gm, 'import $1 from \'$2\';',
    );
  }
  // CommonJS has no top-level await, which some of the snippets use.
  return ephemeral + (/^(const \w+ = )?await /m.test(body) ? `(async () => {\n${body}\n})();` : body);
}

/** Transpiled and not checked: the code around a snippet has no types. */
function transpile(form: Form, code: string): string {
  const module = form === 'esm' ? ts.ModuleKind.ESNext : ts.ModuleKind.CommonJS;
  const { outputText } = ts.transpileModule(
    code, { compilerOptions: { module, target: ts.ScriptTarget.ES2023, esModuleInterop: true } },
  );
  return form === 'esm' ? outputText : `(async () => {\n${outputText}\n})();`;
}
