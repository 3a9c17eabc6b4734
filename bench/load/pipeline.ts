import type { Client } from './client.ts';
import { assertAnswer, type Answer, type Request } from './dialects.ts';
import { textFrame } from './frames.ts';
import type { Load, Traffic } from './traffic.ts';

/** Clients whose answers are read before the measurement: more of them prove nothing more. */
const WITNESSES = 64;

/** Every client has so many requests in flight: for each answer that comes it sends the next. */
export function pipeline({ clients, dialect }: Load, request: Request, inFlight: number): Traffic {
  const frames = Array.from({ length: inFlight }, (_, id) => textFrame(dialect.encode(request, id)));
  const size = frames[0]!.length;
  // Twice, so that any number of next ones lies in one piece.
  const bytes = Buffer.concat([...frames, ...frames]);
  let count = 0;

  const keepFull = (client: Client): void => {
    let next = 0;
    client.onMessages = (came) => {
      count += came;
      client.send(bytes.subarray(next * size, (next + came) * size));
      next = (next + came) % inFlight;
    };
  };

  return {
    get count() { return count; },
    async prove() {
      await Promise.all(clients.slice(0, WITNESSES).map(async (client) => {
        const answers = client.collect(inFlight);
        client.send(bytes.subarray(0, inFlight * size));
        (await answers).forEach((text, id) => {
          assertAnswer(text, dialect, answerTo(request, dialect.nameOf(request, id)));
        });
        client.expectSame();
      }));
    },
    start() {
      for (const client of clients) {
        keepFull(client);
        client.send(bytes.subarray(0, inFlight * size));
      }
    },
  };
}

export function answerTo({ type, content, ack }: Request, replyTo: string | undefined): Answer {
  return ack ? { type: 'ack', content: undefined, replyTo } : { type, content, replyTo };
}
