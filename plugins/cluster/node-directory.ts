import { isRecord, shareEntries, type PluginContext } from '../../src/index.ts';

/** A node, as it describes itself. */
export interface NodeInfo {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly version: string;
  /** When the plugin was loaded there, in milliseconds since the epoch by the node's own clock. */
  readonly since: number;
}

/** NodeDirectory lists the running nodes. */
export class NodeDirectory {
  readonly #context: PluginContext;
  readonly #self: NodeInfo;
  readonly #others = new Map<string, NodeInfo>();

  constructor(context: PluginContext, self: NodeInfo) {
    this.#context = context;
    this.#self = self;
    const share = shareEntries(context, 'nodes', () => [self], (info, node) => this.#add(node, info));
    context.on('node:left', ({ node }) => this.#remove(node));
    // For nodes that joined before the plugin was loaded here.
    share([self]);
  }

  get nodes(): readonly NodeInfo[] { return [this.#self, ...this.#others.values()]; }

  #add(node: string, given: unknown): void {
    // The node may have stopped before its answer arrived.
    if (!isInfo(given, node) || !this.#context.node.peers.includes(node)) return;
    const isNew = !this.#others.has(node);
    const { id, name, address, version, since } = given;
    const info = Object.freeze({ id, name, address, version, since });
    this.#others.set(node, info);
    if (isNew) this.#context.emit('cluster:joined', { node: info });
  }

  #remove(node: string): void {
    const info = this.#others.get(node);
    if (this.#others.delete(node)) this.#context.emit('cluster:left', { node: info! });
  }
}

const isText = (value: unknown): boolean => typeof value === 'string' && value.length <= 255;
const isInfo = (given: unknown, node: string): given is NodeInfo =>
  isRecord(given) && given.id === node && [given.name, given.address, given.version].every(isText)
  && Number.isSafeInteger(given.since);
