import { expect } from 'chai';
import { read } from '../support/sources.ts';
import { rows } from '../support/documents.ts';

interface Results { readonly rows: readonly { readonly title: string; readonly against: Readonly<Record<'ws' | 'socketIo', { readonly ratio: number }>> }[] }

const results = JSON.parse(read('bench/results.json')) as Results;
const rounded = (ratio: number) => String(Number(ratio.toPrecision(2)));

describe('the figures of the README', () => {
  it('are those of the last whole run of the benchmark', () => {
    const measured = results.rows.map(({ title, against: { ws, socketIo } }) => [title, rounded(ws.ratio), rounded(socketIo.ratio)]);

    const told = rows('README.md', 'median of five rounds');

    expect(told).to.deep.equal(measured);
  });

  it('are drawn in the chart beside them', () => {
    const chart = read('bench/results.svg');

    expect(read('README.md')).to.include('](bench/results.svg)');
    for (const { title } of results.rows) expect(chart).to.include(title);
  });
});
