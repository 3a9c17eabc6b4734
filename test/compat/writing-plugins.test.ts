import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import ts from 'typescript';
import { read, root } from '../support/sources.ts';
import { blocks, members, rows } from '../support/documents.ts';
import { packed } from '../support/packed.ts';

const execute = promisify(execFile);
const page = 'docs/WRITING-PLUGINS.md';
const files = ['polls.ts', 'polls.test.ts', 'hits.ts', 'hits.test.ts'];

/** What a program printed, also when it failed. */
const outputOf = (program: string, parameters: string[], cwd: string) =>
  execute(program, parameters, { cwd }).then(({ stdout }) => stdout, (error: unknown) => (error as { stdout: string }).stdout);

/** Writes the files of the page into a project beside the packed package. */
async function writeProject(name: string, compilerOptions: object): Promise<string> {
  const { dir } = await packed();
  const folder = join(dir, name);
  mkdirSync(folder, { recursive: true });
  for (const file of files) {
    const parts = blocks(page).filter(({ language, info }) => language === 'typescript' && info === file).map(({ code }) => code);
    writeFileSync(join(folder, file), parts.join('\n'));
  }
  const shared = { target: 'es2022', lib: ['es2023'], types: ['node'], strict: true, exactOptionalPropertyTypes: true, declaration: true };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...shared, ...compilerOptions }, files }));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
  return folder;
}

const compile = (folder: string) => outputOf(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], folder);

/** Members of RoomsApi whose type is, or returns, a promise. */
function asynchronousMembers(file: string, name: string): string[] {
  const source = ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true);
  const found = source.statements.filter(ts.isInterfaceDeclaration).find((each) => each.name.text === name);
  return found!.members.filter(ts.isMethodSignature).filter(({ type }) => type?.getText().startsWith('Promise<')).map((each) => each.name.getText());
}

describe('the tutorial for plugins', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('writes a plugin that compiles as strict TypeScript, and passes its tests', async () => {
    const folder = await writeProject('polls-nodenext', { module: 'nodenext', outDir: 'dist' });

    const complaint = await compile(folder);
    const report = await outputOf(process.execPath, ['--test', '--test-reporter=tap', 'dist/polls.test.js'], folder);

    expect(complaint).to.equal('');
    expect(report, report).to.match(/^# pass 10$/m).and.to.match(/^# fail 0$/m);
  });

  it('writes a plugin for several nodes that compiles as strict TypeScript, and passes its tests', async () => {
    const folder = await writeProject('hits-nodenext', { module: 'nodenext', outDir: 'dist' });

    const complaint = await compile(folder);
    const report = await outputOf(process.execPath, ['--test', '--test-reporter=tap', 'dist/hits.test.js'], folder);

    expect(complaint).to.equal('');
    expect(report, report).to.match(/^# pass 2$/m).and.to.match(/^# fail 0$/m);
  });

  it('writes a plugin that compiles for a bundler', async () => {
    const folder = await writeProject('polls-bundler', { module: 'esnext', moduleResolution: 'bundler', noEmit: true });

    expect(await compile(folder)).to.equal('');
  });

  it('states for each member of RoomsApi whether it is asynchronous', () => {
    const file = 'plugins/rooms/rooms-api.ts';
    const [[, asynchronous = ''] = [], [, synchronous = ''] = []] = rows(page, 'RoomsApi');
    const expected = asynchronousMembers(file, 'RoomsApi');

    expect(asynchronous.split(', ')).to.have.members(expected);
    expect(synchronous.split(', ')).to.have.members(members(file, 'RoomsApi').filter((name) => !expected.includes(name)));
  });
});
