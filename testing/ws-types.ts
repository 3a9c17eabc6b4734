// A project without `@types/ws` can still compile: the types of `ws` are `any` there.
/* eslint-disable @typescript-eslint/ban-ts-comment -- a comment that the compiler writes into the declarations */

/** @ts-ignore: the types may be missing. */
export type Socket = import('ws').WebSocket;

/** @ts-ignore: the types may be missing. */
export type SocketOptions = import('ws').ClientOptions;
