import { ModuleError } from '../../src/index.ts';
import { COMMAND_TIMEOUT, MAX_UNANSWERED_BYTES, MAX_WAITING, TICK } from './redis-link.ts';

/** A command for a slot of a cluster. No server has run it yet. */
export interface HeldCommand {
  readonly slot: number;
  /** The commands of one slot are sent in this order. */
  readonly order: number;
  readonly name: string;
  readonly bytes: number;
  /** The tick in which it was called. */
  readonly since: number;
  /** Why a server did not run it. */
  error?: Error | undefined;
  reject(error: Error): void;
}

/** A blocked slot. `blocks`: number of calls of block() that have not ended. */
interface Slot<C> { blocks: number; readonly commands: C[] }

/**
 * HeldCommands keeps the commands for slots that are moving to another server, and releases them in their order. A
 * command waits at most as long as for an answer (COMMAND_TIMEOUT).
 */
export class HeldCommands<C extends HeldCommand> {
  readonly #slots = new Map<number, Slot<C>>();
  readonly #release: (command: C) => void;
  #size = 0;
  #bytes = 0;

  /** @param release called with each command of a slot that is not blocked any more */
  constructor(release: (command: C) => void) {
    this.#release = release;
  }

  get size(): number { return this.#size; }

  isBlocked(slot: number): boolean { return this.#slots.has(slot); }

  /** Blocks some slots until `end` settles. Then their commands are released. */
  block(slots: readonly number[], end: Promise<unknown>): void {
    for (const slot of slots) {
      const blocked = this.#slots.get(slot);
      if (blocked) blocked.blocks++;
      else this.#slots.set(slot, { blocks: 1, commands: [] });
    }
    const unblock = (): void => { for (const slot of slots) this.#unblock(slot); };
    end.then(unblock, unblock);
  }

  /** Keeps a command for a blocked slot, or rejects it. */
  add(command: C): void {
    const { name, slot, bytes } = command;
    const { commands } = this.#slots.get(slot)!;
    const full = this.#fullness(bytes);
    if (full) {
      command.reject(new ModuleError('ADAPTER_BACKLOG_FULL', { command: name, ...full }));
      return;
    }
    this.#size++;
    this.#bytes += bytes;
    // Nearly always, the command belongs at the end.
    let index = commands.length;
    while (index > 0 && commands[index - 1]!.order > command.order) index--;
    commands.splice(index, 0, command);
  }

  /** Rejects the commands that have waited too long. @param now the present tick */
  tick(now: number): void {
    if (this.#size === 0) return;
    for (const { commands } of this.#slots.values()) {
      while (commands[0] && now - commands[0].since > COMMAND_TIMEOUT / TICK) {
        this.#fail(commands.shift()!, 'no server of the cluster has its slot');
      }
    }
  }

  /** Rejects all commands. */
  fail(reason: string): void {
    for (const { commands } of this.#slots.values()) {
      for (const command of commands.splice(0)) this.#fail({ ...command, error: undefined }, reason);
    }
    this.#slots.clear();
  }

  #fullness(bytes: number): { limit: number; of: 'commands' | 'bytes' } | undefined {
    if (this.#size >= MAX_WAITING) return { limit: MAX_WAITING, of: 'commands' };
    return this.#bytes + bytes > MAX_UNANSWERED_BYTES ? { limit: MAX_UNANSWERED_BYTES, of: 'bytes' } : undefined;
  }

  #unblock(slot: number): void {
    const blocked = this.#slots.get(slot);
    if (!blocked || --blocked.blocks > 0) return;
    this.#slots.delete(slot);
    for (const command of blocked.commands) {
      this.#forget(command);
      this.#release(command);
    }
  }

  #fail(command: C, reason: string): void {
    this.#forget(command);
    command.reject(command.error ?? new ModuleError('ADAPTER_UNAVAILABLE', { command: command.name, reason }));
  }

  #forget({ bytes }: C): void {
    this.#size--;
    this.#bytes -= bytes;
  }
}
