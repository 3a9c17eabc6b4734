import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { read, root } from './sources.ts';

export interface Block { readonly language: string; readonly info: string; readonly code: string; readonly heading: string }

/** What is written for readers. */
export function documents(): string[] {
  return ['README.md', 'README.zh-CN.md', 'INTEGRATION_GUIDE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...readdirSync(join(root, 'docs')).map((file) => `docs/${file}`)];
}

/** The fenced blocks of a document, each with the heading it stands under. */
export function blocks(file: string): Block[] {
  const found: Block[] = [];
  let heading = '';
  for (const part of read(file).matchAll(/^#+ (.+)$|^```(\w*) *(.*)\n([^]*?)^```$/gm)) {
    const [, title, language = '', info = '', code] = part;
    if (title !== undefined) heading = title;
    else if (code !== undefined) found.push({ language, info, code, heading });
  }
  return found;
}

/** The rows of the tables in a document whose first column has this title: cells without backticks. */
export function rows(file: string, title: string): string[][] {
  const tables = [...read(file).matchAll(/(?:^\|.+\|\n)+/gm)].map(([table]) =>
    table.trim().split('\n').map((row) => row.slice(1, -1).split('|').map((cell) => cell.trim().replaceAll('`', ''))));
  const named = tables.filter(([head]) => head?.[0] === title);
  if (named.length === 0) throw new Error(`${file} has no table of "${title}"`);
  return named.flatMap((table) => table.slice(2));
}

/** The names of the members of an interface or a class in a source file. */
export function members(file: string, name: string): string[] {
  const source = ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true);
  const declaration = source.statements.find((statement): statement is ts.InterfaceDeclaration | ts.ClassDeclaration =>
    (ts.isInterfaceDeclaration(statement) || ts.isClassDeclaration(statement)) && statement.name?.text === name);
  if (!declaration) throw new Error(`${file} has no ${name}`);
  return [...new Set(names(declaration.members))];
}

/** The names of an interface's fields, and of the fields of those that are objects: `message`, `message.timeout`. */
export function paths(file: string, name: string): string[] {
  const source = ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true);
  const declaration = source.statements.filter(ts.isInterfaceDeclaration).find((each) => each.name.text === name);
  return declaration?.members.flatMap((member) => {
    const [own = ''] = names([member]);
    const literals = ts.isPropertySignature(member) && member.type ? (ts.isUnionTypeNode(member.type) ? [...member.type.types] : [member.type]) : [];
    return [own, ...literals.filter(ts.isTypeLiteralNode).flatMap((literal) => names(literal.members).map((field) => `${own}.${field}`))];
  }) ?? [];
}

function names(all: Iterable<ts.ClassElement | ts.TypeElement>): string[] {
  return [...all].flatMap(({ name }) => (name && (ts.isIdentifier(name) || ts.isStringLiteral(name)) ? [name.text] : []));
}
