import { expect } from 'chai';
import ts from 'typescript';
import { read } from '../support/sources.ts';
import { rows } from '../support/documents.ts';

/** The options of an interface, its own and those it extends, and the default that the comment of each gives. */
function optionsOf(file: string, name: string): Map<string, string | undefined> {
  const source = ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true);
  const found = source.statements.filter(ts.isInterfaceDeclaration).find((each) => each.name.text === name)!;
  const inherited = (found.heritageClauses ?? []).flatMap(({ types }) => types.map(({ expression }) => optionsOf(file, expression.getText())));
  const own = found.members.map((member) => {
    const [tag] = ts.getJSDocTags(member).filter(({ tagName }) => tagName.text === 'default');
    return [member.name!.getText(), ts.getTextOfJSDocComment(tag?.comment)?.trim()] as const;
  });
  return new Map([...inherited.flatMap((options) => [...options]), ...own]);
}

const pages: Readonly<Record<string, string>> = {
  'validation': 'ValidationOptions', 'rate-limit': 'RateLimitOptions', 'connection-limits': 'ConnectionLimitsOptions',
  'logging': 'LoggingOptions', 'error-handler': 'ErrorHandlerOptions', 'compression': 'CompressionOptions',
  'permissions': 'PermissionsOptions',
};

describe('the pages of the layers', () => {
  for (const [page, type] of Object.entries(pages)) {
    it(`docs/${page}.md lists every option with its default, and no other`, () => {
      const options = optionsOf(`middleware/${page}.ts`, type);

      const documented = rows(`docs/${page}.md`, 'option');

      expect(documented.map(([name]) => name)).to.have.members([...options.keys()]);
      for (const [name = '', given] of documented) expect(given, name).to.equal((options.get(name) ?? 'none').replaceAll('`', ''));
    });
  }
});
