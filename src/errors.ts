/** The audience of an error, and how each phase answers it. */
export interface ErrorTraits {
  /** Whether clients see the code, the message and the details. Otherwise they see `INTERNAL_ERROR`. */
  readonly expose?: boolean | undefined;
  /** HTTP status with which an upgrade is refused. */
  readonly status?: number | undefined;
  /** Close code with which a connection is refused. */
  readonly closeCode?: number | undefined;
}

/** A function that builds the text of an error from its details, and the traits. `{}` hides the error from clients. */
export type ErrorEntry = readonly [describe: (details: any) => string, traits: ErrorTraits];

/** Details of an error by its code. Plugins add theirs by declaration merging: see {@link defineErrors}. */
export interface Errors extends ErrorsOf<typeof kernelErrors> {}
export type ErrorsOf<Entries extends Readonly<Record<string, ErrorEntry>>> = {
  [Code in keyof Entries]: Parameters<Entries[Code][0]> extends [infer Details] ? Details : Record<string, unknown>;
};
export type ErrorCode = keyof Errors;
/** The type of an error's details, by its code. */
export type ErrorDetails<C extends ErrorCode> = Errors[C];

const catalogue = new Map<string, ErrorEntry & { readonly owner: string }>();

/**
 * Every code that is defined, with its owner and traits, for documentation and tables. Plugins add theirs when they are
 * imported.
 */
export const errorCodes: Readonly<Record<string, ErrorTraits & { readonly owner: string }>> = {};

/**
 * Defines the errors that a plugin raises. One code has one owner and one shape.
 * @throws DUPLICATE if another owner has defined the code
 * @example
 * const pollErrors = defineErrors('polls', {
 *   POLL_CLOSED: [({ poll }: { poll: string }) => `poll "${poll}" is closed`, { expose: true }],
 * });
 * declare module 'websocket-module' { interface Errors extends ErrorsOf<typeof pollErrors> {} }
 * throw new ModuleError('POLL_CLOSED', { poll: 'lunch' });
 */
export function defineErrors<const Entries extends Readonly<Record<string, ErrorEntry>>>(
  owner: string,
  entries: Entries,
): Entries {
  for (const [code, entry] of Object.entries(entries)) {
    const present = catalogue.get(code);
    if (present && present.owner !== owner) {
      throw new ModuleError('DUPLICATE', { kind: 'error code', name: code, owner: present.owner });
    }
    catalogue.set(code, Object.assign([...entry] as unknown as ErrorEntry, { owner }));
    (errorCodes as Record<string, object>)[code] = { ...entry[1], owner };
  }
  return entries;
}

const nearest = (name: string | undefined): string => (name === undefined ? '' : `; did you mean "${name}"?`);
const hint = (text: string | undefined): string => (text === undefined ? '' : `; ${text}`);

/** The codes that the kernel raises. */
export const kernelErrors = defineErrors('kernel', {
  // Options and use
  OPTION_INVALID: [
    (d: { path: string; given: string; expected: string; hint?: string | undefined }) =>
      `option "${d.path}" must be ${d.expected}, but is ${d.given}${hint(d.hint)}`,
    {},
  ],
  OPTION_UNKNOWN: [
    (d: { path: string; nearest?: string | undefined; hint?: string | undefined }) =>
      `option "${d.path}" does not exist${d.hint === undefined ? nearest(d.nearest) : hint(d.hint)}`,
    {},
  ],
  ITEM_INVALID: [
    (d: { given: string }) =>
      `use() takes a layer, a plugin, a built-in name or a list of them, but was given ${d.given}`,
    {},
  ],
  HANDLER_INVALID: [
    (d: { type: string; given: string }) => `the handler of "${d.type}" must be a function, but is ${d.given}`,
    {},
  ],
  BUILTIN_UNKNOWN: [
    (d: { name: string; nearest?: string | undefined }) =>
      `there is no built-in named "${d.name}"${nearest(d.nearest)}`,
    {},
  ],
  DUPLICATE: [
    (d: { kind: string; name: string; owner: string }) =>
      `${d.kind} "${d.name}" is already provided by "${d.owner}"; unload that one, or choose another name`,
    {},
  ],
  PLUGIN_DEPENDENCY_MISSING: [
    (d: { plugin: string; missing: string }) =>
      `plugin "${d.plugin}" requires "${d.missing}", which is not loaded; load it first`,
    {},
  ],
  PLUGIN_DEPENDENCY_CIRCULAR: [
    (d: { plugin: string; circle: string }) =>
      `plugin "${d.plugin}" requires itself: ${d.circle}; remove one of these requirements`,
    {},
  ],
  PLUGIN_SETUP_FAILED: [
    (d: { plugin: string; reason: string }) => `plugin "${d.plugin}" failed in setup and was rolled back: ${d.reason}`,
    {},
  ],
  PLUGIN_SETUP_TIMEOUT: [
    (d: { plugin: string; timeout: number }) =>
      `plugin "${d.plugin}" did not finish setup within ${d.timeout} ms and was rolled back`,
    {},
  ],
  PLUGIN_UNLOAD_FAILED: [
    (d: { plugin: string; failures: number }) =>
      `plugin "${d.plugin}" is unloaded, but ${d.failures} of its clean-ups failed; see cause`,
    {},
  ],
  PLUGIN_IN_USE: [
    (d: { plugin: string; dependents: string }) =>
      `plugin "${d.plugin}" is required by ${d.dependents}; unload these first`,
    {},
  ],
  PLUGIN_UNKNOWN: [
    (d: { plugin: string; state?: 'unused' | 'loading' | 'failed' | undefined; member?: string | undefined }) => {
      const subject =
        d.member === undefined ? `plugin "${d.plugin}"` : `${d.member} needs the plugin "${d.plugin}", which`;
      if (d.state === 'loading') return `${subject} is still loading; await ready() first`;
      if (d.state === 'failed') return `${subject} failed to load; await ready() rejects with the reason`;
      return `${subject} is not loaded; call use('${d.plugin}'), and await ready()`;
    },
    {},
  ],
  CONTEXT_CLOSED: [
    (d: { plugin: string }) => `plugin "${d.plugin}" is unloaded; its context can no longer add anything`,
    {},
  ],
  NEXT_TWICE: [(d: { layer: string }) => `layer "${d.layer}" called next() twice for one message`, {}],
  STOP_TIMEOUT: [
    (d: { timeout: number }) => `a part of the manager did not stop within ${d.timeout} ms and may still run`,
    {},
  ],
  MANAGER_STOPPED: [() => 'the manager is stopped; create a new one', { expose: true, status: 503 }],

  // Upgrade and connection phases
  HANDSHAKE_INVALID: [
    (d: { reason: string }) => `not a valid WebSocket handshake: ${d.reason}`,
    { expose: true, status: 400 },
  ],
  HANDSHAKE_TIMEOUT: [
    (d: { timeout: number }) => `the handshake was not finished within ${d.timeout} ms`,
    { expose: true, status: 503, closeCode: 4153 },
  ],
  PATH_UNKNOWN: [() => 'nothing is served on this path', { expose: true, status: 404 }],
  ORIGIN_REFUSED: [
    (_: { origin?: string | undefined; host?: string | undefined }) =>
      'this origin may not connect; the server lists the allowed ones in its option "origins"',
    { expose: true, status: 403 },
  ],
  SERVER_FULL: [
    (d: { limit: number }) => `the server is full (${d.limit} connections)`,
    { expose: true, status: 503, closeCode: 4153 },
  ],
  SERVER_NOT_READY: [
    () => 'the server is not ready; a part of it failed to load',
    { expose: true, status: 503, closeCode: 4153 },
  ],
  SERVER_DRAINING: [
    () => 'the server is shutting down; reconnect to another one',
    { expose: true, status: 503, closeCode: 4200 },
  ],
  CONNECTION_REFUSED: [() => 'the connection was refused', { expose: true, status: 403, closeCode: 4003 }],

  // Identity
  USER_INVALID: [(d: { source: string; reason: string }) => `${d.source} is not valid: ${d.reason}`, {}],
  USER_ID_RESERVED: [() => 'a user cannot have the id of a connection', { expose: true, status: 403, closeCode: 4003 }],
  USER_MISMATCH: [
    () => 'a connection cannot change its user; open a new one',
    { expose: true, status: 403, closeCode: 4003 },
  ],

  // Messages in
  INVALID_JSON: [() => 'the message is not valid JSON', { expose: true }],
  INVALID_MESSAGE: [(d: { reason: string }) => `the message is not valid: ${d.reason}`, { expose: true }],
  TOO_DEEP: [(d: { limit: number }) => `the message is nested more than ${d.limit} levels deep`, { expose: true }],
  TOO_MANY_VALUES: [(d: { limit: number }) => `the message has more than ${d.limit} values`, { expose: true }],
  FORBIDDEN_KEY: [(d: { key: string }) => `the message has the forbidden key "${d.key}"`, { expose: true }],
  TOO_MANY_INVALID: [
    (d: { limit: number }) => `${d.limit} invalid messages in a row`,
    { expose: true, closeCode: 1008 },
  ],
  BINARY_UNSUPPORTED: [() => 'binary messages are not accepted here', { expose: true }],
  UNKNOWN_TYPE: [(d: { type: string }) => `no handler for messages of type "${d.type}"`, { expose: true }],
  HANDLER_TIMEOUT: [
    (d: { type: string; timeout: number }) => `the handler of "${d.type}" did not answer within ${d.timeout} ms`,
    { expose: true },
  ],
  INTERNAL_ERROR: [() => 'the server failed to handle this message', { expose: true, status: 500, closeCode: 1011 }],

  // Messages out
  UNSENDABLE_MESSAGE: [(d: { reason: string }) => `the message cannot be sent: ${d.reason}`, {}],
  SEND_LAYER_DROPPED: [
    (d: { type: string; reason: string }) => `a send layer dropped a message of type "${d.type}": ${d.reason}`,
    {},
  ],
  BACKLOG_FULL: [() => 'too many messages of this connection wait to be handled', { closeCode: 4129 }],
  OUTBOX_FULL: [
    (d: { limit: number }) => `the client reads too slowly; more than ${d.limit} bytes wait for it`,
    { closeCode: 4108 },
  ],
  TOO_MANY_TOPICS: [
    (d: { limit: number }) => `a connection may subscribe to at most ${d.limit} topics`,
    { expose: true },
  ],
  CONNECTION_CLOSED: [(d: { connection: string }) => `connection "${d.connection}" is closed`, {}],
  CONNECTION_UNKNOWN: [
    (d: { connection: string }) =>
      `connection "${d.connection}" is not on this node; its client may have disconnected`,
    {},
  ],
  REQUEST_TIMEOUT: [
    (d: { type: string; attempts: number }) => `the client did not answer "${d.type}" after ${d.attempts} attempts`,
    {},
  ],
  REQUEST_ABORTED: [(d: { type: string }) => `the request "${d.type}" was aborted`, {}],
  TOO_MANY_REQUESTS: [
    (d: { of: string; limit: number }) => `${d.limit} requests to ${d.of} already wait for a reply`,
    {},
  ],
  NODE_ID_TAKEN: [
    (d: { node: string }) => `another running node has the id "${d.node}"; give each node its own "nodeId"`,
    {},
  ],
  LEASE_LOST: [
    (_: { node?: string | undefined }) => 'this node was disconnected from the cluster; try again later',
    { expose: true, status: 503, closeCode: 4153 },
  ],
  PACKET_INVALID: [(d: { reason: string }) => `a packet from another node is not valid: ${d.reason}`, {}],
  CHANNEL_UNKNOWN: [(d: { channel: string }) => `this node has no channel "${d.channel}"`, {}],
  TOO_MANY_QUESTIONS: [(d: { limit: number }) => `${d.limit} questions already wait for answers of other nodes`, {}],
  ADAPTER_FAILED: [(d: { adapter: string; action: string }) => `adapter "${d.adapter}" failed to ${d.action}`, {}],
});

/** The arguments after the code: the details (optional if the code has none), and overrides of the catalogue. */
type ErrorArguments<C> = C extends ErrorCode
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type -- an object from which nothing is required
  ? {} extends ErrorDetails<C> ? [ErrorDetails<C>?, ErrorInit?] : [ErrorDetails<C>, ErrorInit?]
  : [Record<string, unknown>?, ErrorInit?];

export interface ErrorInit extends ErrorTraits {
  readonly cause?: unknown;
  /** The text, for a code that is not in the catalogue. @default the code */
  readonly message?: string | undefined;
}

/**
 * The one error class. Callers branch on `code`, which also gives the type of `details`. Applications may raise codes
 * that are not defined anywhere: clients see these by default.
 *
 * @example throw new ModuleError('TABLE_FULL', { table: 7 }, { message: 'table 7 is full' })
 */
export class ModuleError<C extends string = string> extends Error {
  override readonly name = 'ModuleError';
  readonly code: C;
  readonly details: Readonly<Record<string, unknown>>;
  readonly expose: boolean;
  readonly status: number | undefined;
  readonly closeCode: number | undefined;

  constructor(code: C, ...[details, init]: ErrorArguments<C>) {
    const entry = catalogue.get(code);
    const traits = entry?.[1] ?? { expose: true };
    super(
      init?.message ?? entry?.[0](details ?? {}) ?? code,
      init?.cause === undefined ? undefined : { cause: init.cause },
    );
    this.code = code;
    this.details = details ?? {};
    this.expose = init?.expose ?? traits.expose ?? false;
    this.status = init?.status ?? traits.status;
    this.closeCode = init?.closeCode ?? traits.closeCode;
  }
}

/** Returns a thrown value as an Error. */
export function toError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown;
  // Not String(), which throws for an object without a prototype.
  return new Error(
    typeof thrown === 'string' ? thrown : `a non-error was thrown: ${Object.prototype.toString.call(thrown)}`,
  );
}

/** Whether a thrown value is a ModuleError with one of these codes. */
export const hasCode = (thrown: unknown, ...codes: readonly string[]): thrown is ModuleError =>
  thrown instanceof ModuleError && codes.includes(thrown.code);

/** Finds the known name nearest to a misspelt one, at most two edits (or a third of its length) away. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  if (name.length > 64) return undefined;
  let best: string | undefined;
  let bound = Math.max(2, Math.ceil(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bound) [best, bound] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const above = row;
    row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
  }
  return row[b.length]!;
}
