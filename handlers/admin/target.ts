import { isIP } from 'node:net';
import { isRecord, lengthUpTo, ModuleError, plainAddress, userTopic, type Connection, type Message, type Node } from '../../src/index.ts';
import { addressKey, keysOf, userKey } from './bans.ts';

/** Whom an action is about: a user, the client of a connection, an address, or several of these at once. */
export interface Target {
  /** Of who is nobody yet, the id of the connection. */
  readonly userId?: string;
  readonly connectionId?: string;
  readonly address?: string;
}

/** What came with a request, each field held to its shape. */
export interface Request { readonly target: Target; readonly reason?: string; readonly duration?: number }

const MOST_CHARACTERS = 256;
/** A hundred years, in milliseconds: for ever is said by leaving it out. */
const LONGEST = 3_155_760_000_000;

const isText = (value: unknown): boolean => typeof value === 'string' && value !== '' && value.length <= MOST_CHARACTERS;
/** Its characters count as people count them. */
const isReason = (value: unknown): boolean =>
  typeof value === 'string' && value !== '' && lengthUpTo(value, MOST_CHARACTERS) <= MOST_CHARACTERS;
const text = [isText, `must be a text of 1 to ${MOST_CHARACTERS} characters`] as const;
const FIELDS = {
  userId: text,
  connectionId: text,
  address: [(value: unknown) => typeof value === 'string' && isIP(value) !== 0, 'must be an IP address'],
  reason: [isReason, text[1]],
  duration: [(value: unknown) => Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= LONGEST, 'must be milliseconds, from 1 to a hundred years'],
} as const;

export type Payload = Readonly<Record<string, unknown>>;

/** The payload and the fields beside it, as one. What is no object has the name `content`. */
export const payloadOf = ({ content, fields }: Message): Payload => ({ content: content as unknown, ...fields, ...(isRecord(content) && content) });

const invalid = (...issues: { readonly path: string; readonly message: string }[]): ModuleError => new ModuleError('VALIDATION_FAILED', { issues });

/** What everybody is told. @throws VALIDATION_FAILED */
export function announcement({ content }: Payload): { readonly target: undefined; readonly content: unknown } {
  const isEmpty = content === undefined || content === null || content === '' || (isRecord(content) && Object.keys(content).length === 0);
  if (isEmpty) throw invalid({ path: 'content', message: 'must be there' });
  return { target: undefined, content };
}

/** @throws VALIDATION_FAILED */
export function read(given: Payload): Request {
  const issues = Object.entries(FIELDS).flatMap(([path, [holds, message]]) => (given[path] === undefined || holds(given[path]) ? [] : [{ path, message }]));
  if (issues.length > 0) throw invalid(...issues);
  const { userId, connectionId, address, reason, duration } = given as Target & Omit<Request, 'target'>;
  if ((userId ?? connectionId ?? address) === undefined) throw invalid({ path: 'userId', message: 'it, connectionId or address must be there' });
  const target = known({ userId, connectionId, address: address && plainAddress(address) });
  return { target, ...known({ reason, duration }) };
}

/** Without what is undefined. */
function known<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** Whom a target means: who of them is connected to this node, and what they are banned by. */
export interface Found { readonly connections: ReadonlySet<Connection>; readonly keys: ReadonlySet<string> }

/** @throws TARGET_UNKNOWN where a connection is meant that is not here */
export function find(node: Node, { userId, connectionId, address }: Target): Found {
  const connections = new Set<Connection>();
  const keys = new Set<string>();
  const add = (key: string | undefined, found: readonly Connection[]): void => {
    if (key !== undefined) keys.add(key);
    for (const connection of found) connections.add(connection);
  };
  // The user's key, which comes last, where there is a user: a user comes back from other addresses, too.
  const addClient = (client: Connection): void => add(keysOf(client).at(-1), [client]);
  const anonymous = userId === undefined ? undefined : node.connections.get(userId);
  if (anonymous && !anonymous.user) addClient(anonymous);
  else if (userId !== undefined) add(userKey(userId), connectionsOf(node, userId));
  if (connectionId !== undefined) {
    const client = node.connections.get(connectionId);
    if (!client) throw new ModuleError('TARGET_UNKNOWN', { connectionId }, { message: 'there is no such connection here' });
    addClient(client);
  }
  if (address !== undefined) add(addressKey(address), bearers(node, new Set([addressKey(address)])));
  return { connections, keys };
}

/** Who of those connected to this node is meant by bans. */
export function bearers(node: Node, keys: ReadonlySet<string>): Connection[] {
  return [...node.connections.values()].filter((connection) => keysOf(connection).some((key) => keys.has(key)));
}

/** The connections of a user. Others could be subscribed to his topic. */
function connectionsOf(node: Node, userId: string): Connection[] {
  return [...node.subscribers(userTopic(userId))].filter(({ user }) => user?.id === userId);
}
