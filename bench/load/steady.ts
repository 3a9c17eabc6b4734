import { assertAnswer, type Request } from './dialects.ts';
import { textFrame } from './frames.ts';
import { answerTo } from './pipeline.ts';
import type { Load, Traffic } from './traffic.ts';

/**
 * So many requests a second, spread evenly over time and clients, whether the answers come or not. An answer's time
 * counts from when its request was due, so that a server that stands still does not hide how many it kept waiting.
 */
export function steady({ clients, dialect }: Load, request: Request, rate: number): Traffic {
  const bytes = textFrame(dialect.encode(request, 0));
  const gap = 1_000 / rate;
  const due: number[][] = clients.map(() => []);
  let latencies: number[] = [];
  let running = false;
  let count = 0;

  // No timer: they come a millisecond late. The load has a core to itself, or all servers suffer alike.
  const send = (start: number, sent: number): void => {
    for (const now = performance.now(); start + sent * gap <= now; sent++) {
      const index = sent % clients.length;
      due[index]!.push(start + sent * gap);
      clients[index]!.send(bytes);
    }
    if (running) setImmediate(send, start, sent);
  };

  return {
    get count() { return count; },
    async prove() {
      for (const client of clients) {
        const answers = client.collect(1);
        client.send(bytes);
        assertAnswer((await answers)[0]!, dialect, answerTo(request, dialect.nameOf(request, 0)));
        client.expectSame();
      }
    },
    start() {
      running = true;
      clients.forEach((client, index) => {
        client.onMessages = (came) => {
          const now = performance.now();
          count += came;
          for (const time of due[index]!.splice(0, came)) latencies.push(now - time);
        };
      });
      send(performance.now(), 0);
    },
    stop() { running = false; },
    latencies() {
      const taken = latencies;
      latencies = [];
      return taken;
    },
  };
}
