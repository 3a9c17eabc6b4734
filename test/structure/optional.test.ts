import { expect } from 'chai';
import ts from 'typescript';
import { extensions } from './import-rules.ts';
import { files, read } from '../support/sources.ts';

/** The optional properties of a source file's types that do not accept `undefined`. */
function strict(file: string, text = read(file)): string[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    // What a function returns is made by this package, and has no field that is `undefined`.
    const isResult = node !== source && ts.isFunctionLike(node.parent) && node.parent.type === node;
    if (ts.isBlock(node) || isResult) return;
    if (ts.isPropertySignature(node) && node.questionToken && node.type && !accepts(node.type)) {
      const { line } = source.getLineAndCharacterOfPosition(node.getStart());
      found.push(`${file}:${line + 1} ${node.name.getText()}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function accepts(type: ts.TypeNode): boolean {
  if (ts.isUnionTypeNode(type)) return type.types.some(accepts);
  if (ts.isParenthesizedTypeNode(type)) return accepts(type.type);
  const { AnyKeyword, UndefinedKeyword, UnknownKeyword } = ts.SyntaxKind;
  return [AnyKeyword, UndefinedKeyword, UnknownKeyword].includes(type.kind);
}

describe('optional properties', () => {
  // Under `exactOptionalPropertyTypes`, `{ token: process.env.TOKEN }` is an error otherwise.
  it('accept undefined', () => {
    expect(files('index.ts', 'src', ...extensions, 'client', 'testing').flatMap((file) => strict(file))).to.deep.equal([]);
  });

  it('are found in interfaces, types and parameters', () => {
    const text = `
      interface A { a?: string; b?: string | undefined; c?: (() => void) | undefined; d?: { e?: number } | undefined }
      export const f = (options: { g?: number }): { h?: number } => options;
      function h() { const i: { j?: number } = {}; return i; }
    `;

    expect(strict('x.ts', text)).to.deep.equal(['x.ts:2 a', 'x.ts:2 e', 'x.ts:3 g']);
  });
});
