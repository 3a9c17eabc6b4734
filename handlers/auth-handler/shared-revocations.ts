import { isRecord, type PluginContext } from '../../src/index.ts';
import type { SharedRevocation } from './revocations.ts';

/** Revocations in one packet. */
const MAX_PAGE = 1_000;

/** A word of another node: what it revoked, or from where on it wants to know what is revoked here. */
interface Word { readonly revoked?: unknown; readonly from?: unknown }

/** What is shared: the revocations of an AuthHandler. */
export interface Revoker {
  revoke(id: string): number;
  revoked(id?: string): readonly SharedRevocation[];
  follow(revocation: SharedRevocation): void;
}

const isRevocation = (given: unknown): given is SharedRevocation =>
  isRecord(given) && typeof given.id === 'string' && given.id !== '' && Number.isSafeInteger(given.until);

/**
 * Makes revocations hold on all nodes: each is told to the others, and nodes that meet ask each other for all of them.
 * @returns revoke()
 */
export function shareRevocations(context: PluginContext, handler: Revoker): (id: string) => number {
  const follow = (given: unknown): void => {
    for (const revocation of Array.isArray(given) ? given : []) {
      try {
        if (isRevocation(revocation)) handler.follow(revocation);
      } catch (error) {
        // A full table refuses one; the connections of the others are closed nevertheless.
        context.report(error);
      }
    }
  };
  const channel = context.channel<Word, unknown>('revocations', ({ revoked, from }) => {
    follow(revoked);
    return Number.isSafeInteger(from) ? page(handler.revoked(), from as number) : undefined;
  });
  // Asked for, and not told: the plugin may be loaded later on one of both nodes.
  const learn = async (node: string): Promise<void> => {
    for (let from = 0; ; from += MAX_PAGE) {
      const { answers: [given] } = await channel.ask({ from }, { node });
      follow(given?.answer);
      if (!Array.isArray(given?.answer) || given.answer.length < MAX_PAGE) return;
    }
  };
  const learnFrom = (node: string): void => void learn(node).catch((error: unknown) => context.report(error));
  context.on('node:joined', ({ node }) => learnFrom(node));
  for (const node of context.node.peers) learnFrom(node);
  return (id) => {
    try {
      return handler.revoke(id);
    } finally {
      // Also where the table of this node is full: other nodes may have room.
      const told = handler.revoked(id);
      if (typeof id === 'string' && id !== '') channel.tell({ revoked: told.length > 0 ? told : [{ id, until: now() }] });
    }
  };
}

const now = (): number => Math.floor(Date.now() / 1_000);
const page = <T>(all: readonly T[], from: number): readonly T[] => all.slice(from, from + MAX_PAGE);
