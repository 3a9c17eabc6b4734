import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from './sources.ts';
import { blocks, documents } from './documents.ts';
import { installedApart } from './installed-apart.ts';
import { packed } from './packed.ts';
import { FRAMEWORKS, SURROUNDINGS } from './samples-surroundings.ts';

const execute = promisify(execFile);

const INSTALLED = join(root, 'node_modules/typescript/bin/tsc');

/** The compiler of another version. */
export async function compilerOf(version: string): Promise<string> {
  return join(await installedApart(`typescript-${version}`, `typescript@${version}`), 'typescript/bin/tsc');
}

/** How the compiler finds the package. */
export const RESOLUTIONS = {
  nodenext: { module: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
} as const;

interface Compilation {
  readonly resolution: keyof typeof RESOLUTIONS;
  /** The file of the compiler. @default the installed one */
  readonly compiler?: string | undefined;
  /** Whether samples that use `require` are compiled. Before TypeScript 5.8 an ES module could not be required. */
  readonly commonjs?: boolean | undefined;
}

interface Sample { readonly file: string; readonly where: string }

/**
 * Compiles every sample of the documents as strict TypeScript, as a user of the packed package would. Gives a line for
 * each error.
 */
export async function compileSamples({ resolution, compiler, commonjs = true }: Compilation): Promise<string[]> {
  const { dir } = await packed();
  const folder = mkdtempSync(join(dir, 'samples-'));
  const samples = writeSamples(folder, commonjs && resolution === 'nodenext' ? ['js', 'ts', 'cjs'] : ['js', 'ts']);
  const output = await compile(folder, {
    ...RESOLUTIONS[resolution], lib: ['es2023', 'dom'], allowJs: true, checkJs: true, experimentalDecorators: true,
    skipLibCheck: true,
  }, compiler);
  return output.split('\n').filter((line) => line !== '').map((line) => {
    const [, file = '', number = ''] = /^([\w.-]+)\((\d+),\d+\): /.exec(line) ?? [];
    const sample = samples.find((one) => one.file === file);
    return sample ? `${sample.where}, line ${number}${line.slice(line.indexOf(': '))}` : line;
  });
}

/** Compiles a folder as strict TypeScript, and gives the output of the compiler. */
export async function compile(folder: string, options: object, compiler = INSTALLED): Promise<string> {
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({
    compilerOptions: {
      target: 'es2022', types: ['node'], strict: true, exactOptionalPropertyTypes: true, noEmit: true, ...options,
    },
    include: ['*'],
  }));
  return execute(process.execPath, [compiler, '-p', folder, '--pretty', 'false'], { cwd: folder })
    .then(() => '', (error: unknown) => (error as { stdout: string }).stdout);
}

/**
 * One file for each sample in these languages. A sample in JavaScript is one in TypeScript, too, unless it uses
 * `require`, whose result Node decides and no bundler.
 */
function writeSamples(folder: string, languages: readonly string[]): Sample[] {
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
  writeFileSync(join(folder, 'surroundings.d.mts'), SURROUNDINGS);
  writeFileSync(join(folder, 'frameworks.d.ts'), FRAMEWORKS);
  const samples = documents().flatMap(
    (document) => blocks(document).map((block, index) => ({ document, index, ...block })),
  );
  // The parts of a file that a page writes step by step.
  const parts = partsOf(samples.filter(({ language, info }) => language === 'typescript' && info !== ''));
  const files = [...parts].map(([file, [first, ...rest]]) => {
    writeFileSync(join(folder, file), [first!, ...rest].map(({ code }) => code).join('\n'));
    return { file, where: `${first!.document}, ${file}` };
  });
  return [...files, ...samples.filter(({ language }) => languages.includes(language)).map((sample) => {
    const { document, index, language, code, heading } = sample;
    // With types in its comments, a sample stays JavaScript.
    const extension = language === 'cjs' ? 'cjs' : language === 'js' && /\/\*\*\s[^]*@/.test(code) ? 'mjs' : 'mts';
    const file = `${document.replaceAll(/\W/g, '-')}-${index}.${extension}`;
    // With `export`, the names of a sample are its own.
    writeFileSync(join(folder, file), extension === 'mts' ? `${code}export {};\n` : code);
    return { file, where: `${document}, ${heading}` };
  })];
}

function partsOf<T extends { readonly info: string }>(samples: readonly T[]): Map<string, T[]> {
  const parts = new Map<string, T[]>();
  for (const sample of samples) parts.set(sample.info, [...parts.get(sample.info) ?? [], sample]);
  return parts;
}
