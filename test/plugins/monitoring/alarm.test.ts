import { expect } from 'chai';
import fc from 'fast-check';
import { Alarm } from '../../../plugins/monitoring/alarm.ts';

const metrics = fc.array(fc.record({ value: fc.double({ min: 0, max: 2, noNaN: true }), certain: fc.boolean() }), { maxLength: 100 });

describe('an alarm', () => {
  it('alerts once when the metric reaches the threshold, and clears once when it is well under it', () => {
    const alarm = new Alarm('metric', 10, 0.1);

    const levels = [9.9, 10, 11, 10, 9, 9.5, 8.9, 5, 9.9, 10].map((value) => alarm.judge(value, true)?.level);

    expect(levels).to.deep.equal([undefined, 'warning', undefined, undefined, undefined, undefined, 'cleared', undefined, undefined, 'warning']);
    expect(alarm.raised).to.equal(2);
  });

  it('never flaps while the metric hovers within the hysteresis', () => {
    fc.assert(fc.property(fc.array(fc.double({ min: 0.9, max: 1.1, noNaN: true })), (values) => {
      const alarm = new Alarm('metric', 1, 0.1);

      const alerts = values.flatMap((value) => alarm.judge(value, true) ?? []);

      expect(alerts.length).to.be.at.most(1);
    }));
  });

  it('warns and clears in turns, whatever the metric does', () => {
    fc.assert(fc.property(metrics, fc.double({ min: 0, max: 0.9, noNaN: true }), (samples, hysteresis) => {
      const alarm = new Alarm('metric', 1, hysteresis);

      const alerts = samples.flatMap(({ value, certain }) => alarm.judge(value, certain) ?? []);

      alerts.forEach(({ level, value, since }, index) => {
        expect(level).to.equal(index % 2 === 0 ? 'warning' : 'cleared');
        if (level === 'warning') expect(value).to.be.at.least(1);
        else expect(value).to.be.below(1 - hysteresis + 1e-12);
        if (level === 'cleared') expect(since).to.equal(alerts[index - 1]!.since);
      });
      expect(alarm.active !== undefined).to.equal(alerts.length % 2 === 1);
    }));
  });

  it('does not alert without enough data, but stays active without it', () => {
    const alarm = new Alarm('metric', 1, 0.1);

    expect(alarm.judge(5, false)).to.equal(undefined);
    expect(alarm.judge(5, true)).to.include({ name: 'metric', level: 'warning', value: 5, threshold: 1 });
    expect(alarm.judge(3, false)).to.equal(undefined);
    expect(alarm.active).to.include({ value: 3, level: 'warning' });
    expect(alarm.judge(0, false)).to.include({ level: 'cleared', value: 0 });
  });
});
