import {
  customerKey, isRecord, memberId, ModuleError, type Connection, type Outgoing, type PluginContext,
} from '../../src/index.ts';
import type { Target } from './admin-request.ts';
import { bearers, findTarget } from './admin-target.ts';
import type { BanStore } from './ban-store.ts';

/** What a target is, on one node or on all of them. */
export interface Sighting {
  /** How many connections it has. */
  readonly connections: number;
  /** The keys by which it is banned. */
  readonly keys: readonly string[];
  /** Whether there is an anonymous connection of unknown address, which no key stands for. */
  readonly isKeyless: boolean;
  /** Whether `connectionId` names no connection. */
  readonly isUnknown: boolean;
}

/** Connections: those of a target, those that bear a key, or both. */
export interface Aim { readonly target?: Target | undefined; readonly keys?: readonly string[] | undefined }

/** Who acts, as other nodes need to know. */
export interface Actor { readonly id: string; readonly ip: string }

/** Whether an actor may act on some connections. */
export interface Verdict {
  /** The highest rank among them: 0 is the top. */
  readonly rank: number;
  readonly isSelf: boolean;
  /** Whether a connection of the target's user is among them. */
  readonly isPresent: boolean;
}

/** What each node can do. */
interface Deeds {
  find(aim: { readonly target: Target }): Sighting;
  judge(aim: Aim & { readonly actor: Actor }): Verdict;
  /** Sends a message to the connections, and closes them. Returns how many were open. */
  close(aim: Aim & { readonly message: Outgoing; readonly code: number; readonly reason: string }): number;
  lift(aim: { readonly keys: readonly string[] }): boolean | Promise<boolean>;
}

export interface NodesSettings {
  readonly bans: BanStore;
  /** Whether each node has bans of its own. */
  readonly areBansPerNode: boolean;
  readonly rank: (roles: unknown) => number;
}

/** AdminNodes does things on all nodes: on this one directly, and on the others through a channel. */
export class AdminNodes {
  readonly #context: PluginContext;
  readonly #settings: NodesSettings;
  readonly #deeds: Deeds;
  readonly #channel;

  constructor(context: PluginContext, settings: NodesSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#deeds = {
      find: ({ target }) => this.#find(target),
      judge: (aim) => this.#judge(aim),
      close: (aim) => this.#close(aim),
      lift: ({ keys }) => this.#lift(keys),
    };
    this.#channel = context.channel<{ readonly do: keyof Deeds; readonly aim: any }, unknown>('actions', (word) => {
      // A later version may know more.
      if (!isRecord(word) || !Object.hasOwn(this.#deeds, word.do)) {
        throw new ModuleError('PACKET_INVALID', { reason: 'its action is unknown' });
      }
      return this.#deeds[word.do](word.aim);
    });
  }

  /** What the target is on all nodes. @throws TARGET_UNKNOWN for a connection that is on none of them */
  async find(target: Target): Promise<Sighting> {
    const seen = await this.#everywhere('find', { target });
    if (seen.every(({ isUnknown }) => isUnknown)) throw new ModuleError('TARGET_UNKNOWN', target);
    return {
      connections: sum(seen.map(({ connections }) => connections)),
      keys: [...new Set(seen.flatMap(({ keys }) => keys))],
      isKeyless: seen.some(({ isKeyless }) => isKeyless),
      isUnknown: false,
    };
  }

  async judge(aim: Aim, actor: Actor): Promise<Verdict> {
    const verdicts = await this.#everywhere('judge', { ...aim, actor });
    return {
      rank: Math.min(...verdicts.map(({ rank }) => rank)),
      isSelf: verdicts.some(({ isSelf }) => isSelf),
      isPresent: verdicts.some(({ isPresent }) => isPresent),
    };
  }

  /** Returns how many connections were closed on all nodes. */
  async close(aim: Aim, message: Outgoing, code: number, reason: string): Promise<number> {
    return sum(await this.#everywhere('close', { ...aim, message, code, reason }));
  }

  /** Returns whether there was a ban on any node. */
  async lift(keys: readonly string[]): Promise<boolean> {
    const lifted = this.#settings.areBansPerNode
      ? await this.#everywhere('lift', { keys })
      : [await this.#lift(keys)];
    return lifted.includes(true);
  }

  /** On this node first: what fails here is done nowhere. A node that does not answer is reported. */
  async #everywhere<D extends keyof Deeds>(
    deed: D,
    aim: Parameters<Deeds[D]>[0],
  ): Promise<Awaited<ReturnType<Deeds[D]>>[]> {
    type Result = Awaited<ReturnType<Deeds[D]>>;
    const own = (await this.#deeds[deed](aim as never)) as Result;
    if (this.#context.node.peers.length === 0) return [own];
    const { answers, failed, missing } = await this.#channel.ask({ do: deed, aim });
    for (const { error } of failed) this.#context.report(error);
    for (const node of missing) this.#context.report(new ModuleError('ADMIN_NODE_SILENT', { node, action: deed }));
    return [own, ...answers.map(({ answer }) => answer as Result)];
  }

  #find(target: Target): Sighting {
    const { connections, keys, keyless, isUnknown } = findTarget(this.#context.node, target);
    return { connections: connections.size, keys: [...keys], isKeyless: keyless !== undefined, isUnknown };
  }

  #aimed({ target, keys = [] }: Aim): ReadonlySet<Connection> {
    const { node } = this.#context;
    const found = target ? findTarget(node, target).connections : [];
    return new Set([...found, ...bearers(node, new Set(keys))]);
  }

  #judge({ actor, ...aim }: Aim & { readonly actor: Actor }): Verdict {
    const connections = [...this.#aimed(aim)];
    const { userId, address } = aim.target ?? {};
    const { rank } = this.#settings;
    const isOwnAddress = address !== undefined && customerKey(address) === customerKey(actor.ip);
    return {
      rank: connections.reduce((best, { user }) => Math.min(best, rank(user?.roles)), rank([])),
      // The actor may have left meanwhile, and is then not among the connections.
      isSelf: isOwnAddress || userId === actor.id || connections.some((one) => memberId(one) === actor.id),
      isPresent: connections.some(({ user }) => user?.id === userId),
    };
  }

  #close({ message, code, reason, ...aim }: Parameters<Deeds['close']>[0]): number {
    let closed = 0;
    for (const connection of this.#aimed(aim)) {
      if (!connection.isOpen) continue;
      connection.send(message);
      connection.close(code, reason);
      closed++;
    }
    return closed;
  }

  async #lift(keys: readonly string[]): Promise<boolean> {
    let lifted = false;
    for (const key of keys) if (await this.#settings.bans.delete(key)) lifted = true;
    return lifted;
  }
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
