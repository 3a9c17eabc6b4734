/** RedisRun is one run of a node, from one lease() to the next: its ids, and when its lease ends. */
export class RedisRun {
  readonly node: string;
  /** The id of the run. No other run has the same one. */
  readonly incarnation: string;
  ttl = 0;
  /** When the lease ends, by the monotonic clock of this node. */
  deadline = -Infinity;
  /** When the lease ends, by the clock of Redis. */
  ends = 0;
  generation = '';
  /** The number of the last call of reap(), and of the last one whose reply has arrived. */
  reap = { called: 0, received: 0 };
  #versions = 0;

  constructor(node: string, incarnation: string) {
    this.node = node;
    this.incarnation = incarnation;
  }

  /** Extends the lease. @param sentAt when this node sent the request, by its own clock */
  extend(sentAt: number, ttl: number, now: number, generation: string): void {
    this.ttl = ttl;
    this.deadline = sentAt + ttl;
    this.ends = now + ttl;
    this.generation = generation;
  }

  end(): void { this.deadline = -Infinity; }

  /** A version for a document. No other call and no other run gets the same one. */
  nextVersion(): string { return `${this.incarnation}.${++this.#versions}`; }
}
