// In a project without `@types/ws`, the types of `ws` become `any` instead of an error.
/* eslint-disable @typescript-eslint/ban-ts-comment -- a comment that the compiler writes into the declarations */

/** @ts-ignore: the types may be missing. */
export type Socket = import('ws').WebSocket;

/** @ts-ignore: the types may be missing. */
export type SocketOptions = import('ws').ClientOptions;
