import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Import {
  /** As it is written. */
  readonly specifier: string;
  /** The file it names, from the root of the repository; nothing when it is a package. */
  readonly file: string | undefined;
  /** Erased by the compiler. `import { type A }` is not: it still loads the file. */
  readonly type: boolean;
  /** `import()`, at run time. */
  readonly lazy: boolean;
}

/** The source files in these folders, and these files themselves where they exist: from the root, with `/` on every system. */
export function files(...places: string[]): string[] {
  return places.filter((place) => existsSync(join(root, place))).flatMap((place) => {
    if (statSync(join(root, place)).isFile()) return [place];
    return readdirSync(join(root, place), { recursive: true, encoding: 'utf8' }).map((file) => `${place}/${file.replaceAll('\\', '/')}`);
  }).filter((file) => /\.[cm]?[jt]sx?$/.test(file)).sort();
}

export function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** Every import and re-export of a file. `declare module` is none: it adds to a type and loads nothing. */
export function importsOf(file: string, text = read(file)): Import[] {
  const found: Import[] = [];
  const add = (specifier: ts.Node | undefined, type: boolean, lazy = false) => {
    if (!specifier || !ts.isStringLiteralLike(specifier)) return;
    const target = specifier.text.startsWith('.') ? relative(root, join(root, dirname(file), specifier.text)).replaceAll('\\', '/') : undefined;
    found.push({ specifier: specifier.text, file: target, type, lazy });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword);
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node.arguments[0], false, true);
    else if (ts.isCallExpression(node) && node.expression.getText() === 'require') add(node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
  return found;
}

/** How many lines hold code: not a comment alone, not blank. */
export function linesOfCode(text: string): number {
  const source = ts.createSourceFile('file.ts', text, ts.ScriptTarget.Latest, true);
  const lines = new Set<number>();
  const visit = (node: ts.Node): void => {
    if (ts.isToken(node) && node.kind !== ts.SyntaxKind.EndOfFileToken) {
      const first = source.getLineAndCharacterOfPosition(node.getStart(source, false)).line;
      const last = source.getLineAndCharacterOfPosition(node.end).line;
      for (let line = first; line <= last; line++) lines.add(line);
    }
    if (ts.isJSDoc(node)) return;
    node.getChildren(source).forEach(visit);
  };
  visit(source);
  return lines.size;
}
