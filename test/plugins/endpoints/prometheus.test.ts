import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import fc from 'fast-check';
import { escapeLabel, prometheus } from '../../../plugins/endpoints/prometheus.ts';
import type { Metric } from '../../../index.ts';
import { tool } from '../../support/tools.ts';

const text = fc.string({ unit: fc.constantFrom('a', 'Z', '0', '_', ':', '"', '\\', '\n', '{', '}', ',', '=', ' ', '#', 'é', '😀', '\r', '\u2028', '__') });
const number = fc.oneof(fc.integer(), fc.double());
const metric = fc.oneof(
  fc.record({ type: fc.constantFrom('counter', 'gauge', 'histogram'), help: text, value: number }),
  fc.record({
    type: fc.constantFrom('counter', 'gauge'), help: text,
    value: fc.array(fc.record({ labels: fc.dictionary(text, text, { maxKeys: 3 }), value: number }), { maxLength: 5 }),
  }),
  fc.record({
    type: fc.constantFrom('histogram', 'gauge'), help: text,
    value: fc.record({ buckets: fc.constantFrom([], [[0.5, 1], [1, 2]], [[1, 2], [Infinity, 3]]), sum: number, count: fc.nat() }),
  }),
) as fc.Arbitrary<Metric>;

/** What Prometheus reads from a label: three escapes, and everything else as it is. */
const read = (escaped: string): string => escaped.replace(/\\([\\n"])/g, (_, character: string) => (character === 'n' ? '\n' : character));

/** The exit code of promtool: 0 is valid, 3 has faults of style, 1 is not valid. */
function verdict(promtool: string, input: string): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(promtool, ['check', 'metrics'], { input, encoding: 'utf8' });
  return { status, said: stdout + stderr };
}

describe('the Prometheus text', () => {
  it('has a metric\'s help, its type and its value', () => {
    const result = prometheus([['connections', { type: 'gauge', help: 'Connections that are open now.', value: 3 }]], 'chat_');

    expect(result).to.equal('# HELP chat_connections Connections that are open now.\n# TYPE chat_connections gauge\nchat_connections 3\n');
  });

  it('has a line for each label value', () => {
    const value = [{ labels: { code: 'A', phase: 'x' }, value: 1 }, { labels: { code: 'B' }, value: 2 }, { labels: {}, value: 3 }];

    const result = prometheus([['errors_total', { type: 'counter', help: 'Errors.', value }]]);

    expect(result.split('\n').slice(2)).to.deep.equal(['errors_total{code="A",phase="x"} 1', 'errors_total{code="B"} 2', 'errors_total 3', '']);
  });

  it('has a histogram\'s buckets up to infinity, its sum and its count', () => {
    const value = { buckets: [[0.1, 1], [1, 4]], sum: 7.5, count: 5 } as const;

    const result = prometheus([['seconds', { type: 'histogram', help: 'Seconds.', value }]]);

    expect(result.split('\n').slice(2)).to.deep.equal([
      'seconds_bucket{le="0.1"} 1', 'seconds_bucket{le="1"} 4', 'seconds_bucket{le="+Inf"} 5', 'seconds_sum 7.5', 'seconds_count 5', '',
    ]);
  });

  it('writes NaN and infinities as Prometheus does', () => {
    const values = [NaN, Infinity, -Infinity, 1e21, 1e-7, -0].map((value, index) => [`n${index}`, { type: 'gauge', help: 'N.', value }] as const);

    const lines = prometheus(values).split('\n').filter((line) => !line.startsWith('#'));

    expect(lines).to.deep.equal(['n0 NaN', 'n1 +Inf', 'n2 -Inf', 'n3 1e+21', 'n4 1e-7', 'n5 0', '']);
  });

  it('escapes labels so that Prometheus reads them unchanged', () => {
    fc.assert(fc.property(fc.oneof(fc.uint16Array().map((units) => String.fromCharCode(...units)), text), (label) => {
      const escaped = escapeLabel(label);

      expect(escaped.replace(/\\[\\n"]/g, '')).to.not.match(/["\\\n]/);
      expect(read(escaped)).to.equal(label);
    }));
  });

  it('leaves out values that are no metrics, and repetitions', () => {
    const given = {
      'good': 1, 'good ': 2, 'text': 'three', 'nothing': undefined, 'empty': [], 'holes': [null, { labels: null, value: 4 }, { labels: {}, value: 5 }],
      'half': { buckets: [] }, 'odd': { buckets: [1], sum: 1, count: 1 },
    };
    const metrics = Object.entries(given).map(([name, value]) => [name, { type: 'gauge', help: '', value } as unknown as Metric] as const);

    const result = prometheus([...metrics, ['none', undefined as unknown as Metric], ['good', { type: 'counter', help: '', value: 9 }]]);

    expect(result).to.equal([
      '# HELP good good', '# TYPE good gauge', 'good 1',
      '# HELP good_ good ', '# TYPE good_ gauge', 'good_ 2',
      '# HELP holes holes', '# TYPE holes gauge', 'holes 4', '',
    ].join('\n'));
  });

  it('is valid for promtool, whatever a collector gives', function () {
    this.timeout(60_000);
    const promtool = tool('promtool');
    const metrics = fc.sample(fc.tuple(text, metric), { numRuns: 2_000, seed: 27 });
    // Each has a name of its own: repetitions would be left out.
    const named = metrics.map(([name, each], index) => [`m${index}_${name}x`, each] as const);

    const { status, said } = verdict(promtool, prometheus(named, 'websocket_'));

    expect(said).to.not.match(/error while linting/);
    expect(status).to.be.oneOf([0, 3]);
  });

  it('is refused by promtool when it is not valid', function () {
    const promtool = tool('promtool');

    const { status } = verdict(promtool, '# TYPE a gauge\na{b="c} 1\n');

    expect(status).to.equal(1);
  });
});
