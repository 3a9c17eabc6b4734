import type { Client } from './client.ts';
import type { Dialect } from './dialects.ts';

/** What traffic is made with. */
export interface Load {
  readonly clients: readonly Client[];
  readonly dialect: Dialect;
  connect(): Promise<Client>;
}

/** What the load does to a server, for as long as it is not stopped. */
export interface Traffic {
  /** Messages that came, or whatever else is counted. */
  readonly count: number;
  /** Says each thing once and reads all the answers. @throws where one is wrong */
  prove(): Promise<void>;
  start(): void;
  /** Resolves when it has come to rest. */
  stop?(): void | Promise<void>;
  /** Milliseconds that each answer took since the last time this was asked. */
  latencies?(): number[];
}
