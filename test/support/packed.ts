import { execFile, spawn } from 'node:child_process';
import {
  existsSync, mkdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cleanup } from './cleanup.ts';
import { eventually } from './timing.ts';

const execute = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Packages that the packed one is installed beside, for programs that use both. They are linked from this project. */
const companions = [
  'express', 'express4', 'fastify', 'zod', 'valibot', 'arktype', 'joi', 'pino', 'ws', 'jsonwebtoken', 'cors', 'helmet',
  'express-rate-limit', 'obscenity', 'redis', 'ioredis', '@types/node', '@types/express', '@types/jsonwebtoken', '@types/ws',
];

export interface RunOptions {
  /** How the program is loaded. @default 'esm' */
  readonly type?: 'cjs' | 'esm';
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds after which it is killed. @default 60_000 */
  readonly timeout?: number;
}

export interface Outcome { readonly code: number | null; readonly stdout: string; readonly stderr: string }

export interface Running {
  /** The text that it printed until now, on both streams. */
  readonly output: () => string;
  /** Resolves with the match as soon as the output matches; rejects with the output if the program ends before. */
  readonly until: (pattern: RegExp) => Promise<RegExpExecArray>;
  /** Sends a signal, SIGTERM if not told, and resolves when the program has ended. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<Outcome>;
}

export interface Packed {
  /** A project outside the repository, with the packed package installed in its `node_modules`. */
  readonly dir: string;
  /** The tarball it was installed from. */
  readonly tarball: string;
  /** The files in the tarball. */
  readonly contents: readonly string[];
  /** Runs a program in the project, given as source or as the URL of a file, to its end. */
  readonly run: (program: string | URL, options?: RunOptions) => Promise<Outcome>;
  /** Starts a program that serves until it is stopped; stopped when the test is over. */
  readonly launch: (program: string | URL, options?: RunOptions) => Running;
}

/** The variable that names the folder in which the workers of a run share the packed package. */
export const PACKED_FOLDER = 'TEST_PACKED_FOLDER';

let once: Promise<Packed> | undefined;

/** The package as a user gets it: built, packed and installed, once for the whole run. */
export function packed(): Promise<Packed> {
  return (once ??= shared());
}

async function shared(): Promise<Packed> {
  const { dir, tarball, contents } = await packOnce(process.env[PACKED_FOLDER]!);
  return {
    dir,
    tarball,
    contents,
    run: (program, options) => start(dir, program, options).ended,
    launch(program, options) {
      const { ended, ...running } = start(dir, program, options);
      cleanup(() => running.stop('SIGKILL'));
      return running;
    },
  };
}

type Result = Pick<Packed, 'dir' | 'tarball' | 'contents'>;

/** The first worker that asks packs; the others wait for its result. */
async function packOnce(folder: string): Promise<Result> {
  const [result, failure] = [join(folder, 'packed.json'), join(folder, 'failed.txt')];
  if (!isFirst(join(folder, 'packing'))) {
    await eventually('another worker to pack', () => existsSync(result) || existsSync(failure), 280_000);
    if (existsSync(failure)) throw new Error(readFileSync(failure, 'utf8'));
    return JSON.parse(readFileSync(result, 'utf8')) as Result;
  }
  try {
    const done = await pack(join(folder, 'project'));
    writeFileSync(`${result}.part`, JSON.stringify(done));
    renameSync(`${result}.part`, result);
    return done;
  } catch (error) {
    writeFileSync(failure, String(error));
    throw error;
  }
}

/** Whether this call makes the folder: of all processes, one does. */
function isFirst(folder: string): boolean {
  try {
    mkdirSync(folder);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  }
}

async function pack(dir: string): Promise<Result> {
  // A stale package would be tested in silence.
  await command(root, process.execPath, ['scripts/build.mjs']);
  mkdirSync(dir);
  // With scripts, the output of `prepare` would stand before the JSON.
  const { stdout } = await npm(root, 'pack', '--json', '--ignore-scripts', '--pack-destination', dir);
  const { filename, files } = packResult(stdout);
  const tarball = join(dir, filename);

  writeFileSync(join(dir, 'package.json'), '{ "name": "consumer", "version": "0.0.0", "private": true }\n');
  await npm(
    dir, 'install', tarball, '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock',
  );
  for (const name of companions) link(dir, name);
  return { dir, tarball, contents: files.map(({ path }) => path) };
}

interface PackResult { readonly filename: string; readonly files: readonly { readonly path: string }[] }

/** npm 11 and older print a list, newer ones an object by name. */
function packResult(stdout: string): PackResult {
  const [result] = Object.values(JSON.parse(stdout) as Record<string, PackResult>);
  if (!result) throw new Error(`npm pack said nothing: ${stdout}`);
  return result;
}

function link(dir: string, name: string): void {
  const target = join(dir, 'node_modules', name);
  if (statSync(target, { throwIfNoEntry: false })) return;
  mkdirSync(dirname(target), { recursive: true });
  symlinkSync(join(root, 'node_modules', name), target, 'junction');
}

/** Runs npm. The error of a failure has its output. */
export function npm(cwd: string, ...parameters: string[]): Promise<{ stdout: string }> {
  return command(cwd, 'npm', parameters, process.platform === 'win32');
}

function command(cwd: string, program: string, parameters: string[], shell = false): Promise<{ stdout: string }> {
  return execute(program, parameters, { cwd, maxBuffer: 1e8, shell }).catch((error: unknown) => {
    const { stdout, stderr } = error as Outcome;
    throw new Error(`${program} ${parameters.join(' ')} failed:\n${stdout}\n${stderr}`, { cause: error });
  });
}

let programs = 0;

function start(dir: string, program: string | URL, options: RunOptions = {}): Running & { ended: Promise<Outcome> } {
  const { type = 'esm', env, timeout = 60_000 } = options;
  const source = program instanceof URL ? readFileSync(program, 'utf8') : program;
  const file = join(dir, `program-${process.pid}-${++programs}.${type === 'esm' ? 'mjs' : 'cjs'}`);
  writeFileSync(file, source);
  const child = spawn(
    process.execPath, [file], { cwd: dir, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'], timeout },
  );
  let [stdout, stderr, output] = ['', '', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => { stdout += chunk; output += chunk; });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => { stderr += chunk; output += chunk; });
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
  return {
    ended,
    output: () => output,
    until: (pattern) => new Promise((resolve, reject) => {
      const look = () => {
        const match = pattern.exec(output);
        if (match) resolve(match);
      };
      child.stdout.on('data', look);
      child.stderr.on('data', look);
      child.once(
        'close', (code) => reject(new Error(`ended with ${code} before it printed ${pattern.source}:\n${output}`)),
      );
      look();
    }),
    stop(signal = 'SIGTERM') {
      child.kill(signal);
      return ended;
    },
  };
}
