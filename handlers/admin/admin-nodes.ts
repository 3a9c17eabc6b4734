import {
  customerKey, isRecord, memberId, ModuleError, type Connection, type Outgoing, type PluginContext,
} from '../../src/index.ts';
import type { Target } from './admin-request.ts';
import { connectionsWithKey, findTarget } from './admin-target.ts';
import type { BanStore } from './ban-store.ts';

/** The target of an action, on one node or on all nodes. */
export interface FoundOnNodes {
  /** The number of its connections. */
  readonly connections: number;
  /** The keys that a ban of the target uses. */
  readonly keys: readonly string[];
  /** Whether one of the connections is anonymous and has no known address, so that no key identifies it. */
  readonly isKeyless: boolean;
  /** Whether there is no connection with the id `connectionId`. */
  readonly isUnknown: boolean;
}

/** Selects connections: those of a target, those that a key applies to, or both. */
export interface ConnectionSelection {
  readonly target?: Target | undefined;
  readonly keys?: readonly string[] | undefined;
}

/** The acting administrator: what other nodes need for a rank check. */
export interface Actor { readonly id: string; readonly ip: string }

/** Facts that decide whether an administrator may act on the selected connections. */
export interface RankCheck {
  /** The highest rank among the users of the connections. 0 is the highest. */
  readonly rank: number;
  readonly isSelf: boolean;
  /** Whether the target's user is connected. */
  readonly isPresent: boolean;
}

/** The actions that each node can run. */
interface NodeActions {
  find(selection: { readonly target: Target }): FoundOnNodes;
  checkRank(selection: ConnectionSelection & { readonly actor: Actor }): RankCheck;
  /** Sends a message to the selected connections and closes them. Returns how many were open. */
  close(
    selection: ConnectionSelection & { readonly message: Outgoing; readonly code: number; readonly reason: string },
  ): number;
  lift(selection: { readonly keys: readonly string[] }): boolean | Promise<boolean>;
}

/** An action that another node requests. */
interface ActionMessage { readonly do: keyof NodeActions; readonly selection: any }

export interface NodesSettings {
  readonly bans: BanStore;
  /** Whether each node keeps its own bans. */
  readonly areBansPerNode: boolean;
  readonly rank: (roles: unknown) => number;
}

/** AdminNodes runs actions on all nodes: on this node directly, and on other nodes through a channel. */
export class AdminNodes {
  readonly #context: PluginContext;
  readonly #settings: NodesSettings;
  readonly #actions: NodeActions;
  readonly #channel;

  constructor(context: PluginContext, settings: NodesSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#actions = {
      find: ({ target }) => this.#find(target),
      checkRank: (selection) => this.#checkRank(selection),
      close: (selection) => this.#close(selection),
      lift: ({ keys }) => this.#lift(keys),
    };
    this.#channel = context.channel<ActionMessage, unknown>('actions', (message) => {
      // A later version may have further actions.
      if (!isRecord(message) || !Object.hasOwn(this.#actions, message.do)) {
        throw new ModuleError('PACKET_INVALID', { reason: 'its action is unknown' });
      }
      return this.#actions[message.do](message.selection);
    });
  }

  /** Finds the target on all nodes. @throws TARGET_UNKNOWN if no node has the connection */
  async find(target: Target): Promise<FoundOnNodes> {
    const found = await this.#everywhere('find', { target });
    if (found.every(({ isUnknown }) => isUnknown)) throw new ModuleError('TARGET_UNKNOWN', target);
    return {
      connections: sum(found.map(({ connections }) => connections)),
      keys: [...new Set(found.flatMap(({ keys }) => keys))],
      isKeyless: found.some(({ isKeyless }) => isKeyless),
      isUnknown: false,
    };
  }

  async checkRank(selection: ConnectionSelection, actor: Actor): Promise<RankCheck> {
    const checks = await this.#everywhere('checkRank', { ...selection, actor });
    return {
      rank: Math.min(...checks.map(({ rank }) => rank)),
      isSelf: checks.some(({ isSelf }) => isSelf),
      isPresent: checks.some(({ isPresent }) => isPresent),
    };
  }

  /** Closes connections on all nodes. Returns their number. */
  async close(selection: ConnectionSelection, message: Outgoing, code: number, reason: string): Promise<number> {
    return sum(await this.#everywhere('close', { ...selection, message, code, reason }));
  }

  /** Deletes bans on all nodes. Returns whether a node had one. */
  async lift(keys: readonly string[]): Promise<boolean> {
    const lifted = this.#settings.areBansPerNode
      ? await this.#everywhere('lift', { keys })
      : [await this.#lift(keys)];
    return lifted.includes(true);
  }

  /**
   * Runs an action on all nodes, on this one first: if it fails here, it runs nowhere else. A node that does not answer
   * is reported.
   */
  async #everywhere<A extends keyof NodeActions>(
    action: A,
    selection: Parameters<NodeActions[A]>[0],
  ): Promise<Awaited<ReturnType<NodeActions[A]>>[]> {
    type Result = Awaited<ReturnType<NodeActions[A]>>;
    const own = (await this.#actions[action](selection as never)) as Result;
    if (this.#context.node.peers.length === 0) return [own];
    const { answers, failed, missing } = await this.#channel.ask({ do: action, selection });
    for (const { error } of failed) this.#context.report(error);
    for (const node of missing) this.#context.report(new ModuleError('ADMIN_NODE_SILENT', { node, action }));
    return [own, ...answers.map(({ answer }) => answer as Result)];
  }

  #find(target: Target): FoundOnNodes {
    const { connections, keys, isKeyless, isUnknown } = findTarget(this.#context.node, target);
    return { connections: connections.size, keys: [...keys], isKeyless, isUnknown };
  }

  #select({ target, keys = [] }: ConnectionSelection): ReadonlySet<Connection> {
    const { node } = this.#context;
    const ofTarget = target ? findTarget(node, target).connections : [];
    return new Set([...ofTarget, ...connectionsWithKey(node, new Set(keys))]);
  }

  #checkRank({ actor, ...selection }: ConnectionSelection & { readonly actor: Actor }): RankCheck {
    const connections = [...this.#select(selection)];
    const { userId, address } = selection.target ?? {};
    const { rank } = this.#settings;
    const isOwnAddress = address !== undefined && customerKey(address) === customerKey(actor.ip);
    return {
      rank: connections.reduce((best, { user }) => Math.min(best, rank(user?.roles)), rank([])),
      // The administrator may have disconnected meanwhile; their own connection is then not selected.
      isSelf: isOwnAddress || userId === actor.id || connections.some((one) => memberId(one) === actor.id),
      isPresent: connections.some(({ user }) => user?.id === userId),
    };
  }

  #close({ message, code, reason, ...selection }: Parameters<NodeActions['close']>[0]): number {
    let closed = 0;
    for (const connection of this.#select(selection)) {
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
