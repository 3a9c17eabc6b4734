import { packed, type Outcome } from '../support/packed.ts';
import { run, type Around, type Form } from '../support/snippets.ts';
import { start, type Started, type StartOptions } from '../support/start.ts';

/** Lines that the snippets write to the console, each argument as text, beginning with their level. */
const RECORDED = `
const written = [];
for (const level of ['log', 'warn', 'error']) {
  const write = console[level];
  console[level] = (...args) => write(level, ...args.map((arg) => (typeof arg === 'string' ? arg : arg instanceof Error ? arg.message : JSON.stringify(arg) ?? String(arg))));
}
`;

/** The addresses in the snippets are those of the test's server. */
const NETWORK = `
globalThis.WebSocket = class extends Ws {
  constructor(url, ...rest) {
    super(String(url).replace(/^ws:\\/\\/localhost:\\d+(\\/ws)?$/, process.env.SERVER), ...rest);
  }
};
const wait = async (holds) => { while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5)); };
`;

export interface Program extends Around {
  readonly server: Pick<Started, 'url'>;
}

/** Runs a snippet of a client to its end, against a server of the test. Gives the lines that it wrote. */
export async function runClient(form: Form, code: string, { server, before = '', env, ...around }: Program): Promise<string[]> {
  const isTypeScript = around.language === 'typescript';
  const Ws = isTypeScript ? 'import Ws from \'ws\';' : 'const Ws = require(\'ws\');';
  const outcome: Outcome = await run(form, code, {
    ...around, before: `${Ws}\n${RECORDED}${NETWORK}${before}`, env: { ...env, SERVER: server.url },
  });
  if (outcome.code !== 0) throw new Error(`exit code ${outcome.code}: ${outcome.stdout}${outcome.stderr}`);
  return (outcome.stdout + outcome.stderr).trim().split('\n');
}

/** A server that greets each client. */
export async function greeting(message: object, options: StartOptions = {}): Promise<Started> {
  const server = await start(options);
  server.manager.on('connection:added', (connection) => void connection.send(message as { type: string }));
  return server;
}

export const readyPackage = async function (this: Mocha.Context): Promise<void> {
  this.timeout(300_000);
  await packed();
};
