import type { dialects } from './load/dialects.ts';

/** Who is measured. */
export interface Contender {
  /** Its file in servers/. */
  readonly name: 'websocket-module' | 'bare-kernel' | 'ws' | 'socket-io';
  readonly title: string;
  readonly dialect: keyof typeof dialects;
}

export const contenders: readonly Contender[] = [
  { name: 'websocket-module', title: 'with layers', dialect: 'envelope' },
  { name: 'bare-kernel', title: 'bare kernel', dialect: 'envelope' },
  { name: 'ws', title: 'ws', dialect: 'envelope' },
  { name: 'socket-io', title: 'Socket.IO', dialect: 'socketIo' },
];
