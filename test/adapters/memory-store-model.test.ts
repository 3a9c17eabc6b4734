import { MemoryStore } from '../../adapters/memory/memory-store.ts';
import { StoreData } from '../../adapters/memory/store-data.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { compareWithModel } from '../support/store-model.ts';

describe('the memory store, against a model of it', () => {
  it('counts each member once, holds max, and announces each departure once, whatever crashes', async function () {
    this.timeout(60_000);

    await compareWithModel(() => {
      const clock = new ManualClock();
      const data = new StoreData(clock);
      return { clock, store: () => new MemoryStore(data) };
    }, 300);
  });
});
