import type { Client } from './client.ts';
import { assertAnswer, type Request } from './dialects.ts';
import { textFrame } from './frames.ts';
import { answerTo } from './pipeline.ts';
import type { Load, Traffic } from './traffic.ts';

export interface FanOut {
  /** What one says to all of its group. */
  readonly request: (group: number) => Request;
  /** What each has to say first, to be of the group. */
  readonly join?: (group: number) => Request;
  readonly groups: number;
  /** How many messages are said at once. */
  readonly burst: number;
}

/** In each group one client says something to all of them; when all have it, the next one does. */
export function fanOut({ clients, dialect }: Load, { request, join, groups, burst }: FanOut): Traffic {
  const membersOf = (group: number) => clients.filter((_client, index) => index % groups === group);
  const members = Array.from({ length: groups }, (_, group) => membersOf(group));
  let count = 0;

  const ask = async (client: Client, question: Request): Promise<void> => {
    const answer = client.collect(1);
    client.send(textFrame(dialect.encode(question, 0)));
    assertAnswer((await answer)[0]!, dialect, answerTo(question, dialect.nameOf(question, 0)));
  };

  const proveGroup = async (group: readonly Client[], index: number): Promise<void> => {
    const said = request(index);
    if (join) await Promise.all(group.map((client) => ask(client, join(index))));
    const heard = group.map((client) => client.collect(1));
    group[0]!.send(textFrame(dialect.encode(said, 0)));
    for (const [text] of await Promise.all(heard)) assertAnswer(text!, dialect, answerTo(said, undefined));
    for (const client of group) client.expectSame();
  };

  const startGroup = (group: readonly Client[], index: number): void => {
    const frameOf = (id: number): Buffer => textFrame(dialect.encode(request(index), id));
    const bytes = Buffer.concat(Array.from({ length: burst }, (_, id) => frameOf(id)));
    let missing = 0;
    let speaker = 0;
    const speak = (): void => {
      missing = group.length * burst;
      speaker = (speaker + 1) % group.length;
      group[speaker]!.send(bytes);
    };
    for (const client of group) {
      client.onMessages = (came) => {
        count += came;
        missing -= came;
        if (missing === 0) speak();
      };
    }
    speak();
  };

  return {
    get count() { return count; },
    async prove() { for (const [index, group] of members.entries()) await proveGroup(group, index); },
    start() { members.forEach(startGroup); },
  };
}
