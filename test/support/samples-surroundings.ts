/** Declarations of what the samples of the documents take from the application, or from the sample before them. */
export const SURROUNDINGS = `
import type { Express } from 'express';
import type { WebSocketServer } from 'ws';
import type { Server } from 'node:http';

declare global {
  const WebSocketModule: typeof import('websocket-module').WebSocketModule;
  const ModuleError: typeof import('websocket-module').ModuleError;
  type ModuleError = import('websocket-module').ModuleError;
  const manager: import('websocket-module').WebSocketManager;
  const server: Server;
  const app: Express;
  const wss: WebSocketServer;
  const io: import('websocket-module/plugins/events').Server;
  const connectionLimits: typeof import('websocket-module/middleware/connection-limits').connectionLimits;
  const errorHandler: typeof import('websocket-module/middleware/error-handler').errorHandler;
  const moderation: typeof import('websocket-module/plugins/moderation').moderation;
  const requirePermission: typeof import('websocket-module/middleware/permissions').requirePermission;
  const rooms: typeof import('websocket-module/plugins/rooms').rooms;
  /** The id of a token. */
  const jti: string;
  const redis: {
    exists(key: string): Promise<number>;
    set(key: string, value: string, options: { PXAT?: number }): Promise<unknown>;
    del(key: string): Promise<number>;
  };
}
`;

/** The parts of Nest and Jest that the samples use. Each of them is larger than all packages of the tests together. */
export const FRAMEWORKS = `
declare module '@jest/globals' {
  export function test(title: string, body: () => unknown): void;
  export function afterEach(body: () => unknown): void;
  export function expect(value: unknown): { toEqual(expected: unknown): void };
}
declare module '@nestjs/common' {
  export function Injectable(): ClassDecorator;
  export interface OnModuleInit { onModuleInit(): unknown }
  export interface BeforeApplicationShutdown { beforeApplicationShutdown(signal?: string): unknown }
}
declare module '@nestjs/core' {
  export class HttpAdapterHost { readonly httpAdapter: { getHttpServer(): any } }
}
`;
