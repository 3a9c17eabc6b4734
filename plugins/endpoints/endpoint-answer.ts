import type { ServerResponse } from 'node:http';
import type { EndpointRequest } from './endpoint-guard.ts';

/** What handlers of Fastify receive instead of Node's response. */
export interface FastifyReply {
  readonly raw: ServerResponse;
  code(status: number): this;
  headers(values: Record<string, string>): this;
  send(body: string): unknown;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly type?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Sends an answer by Node's response, or by Fastify's reply. */
export function send(response: ServerResponse | FastifyReply, answer: Answer): void {
  const { status, body, type = 'application/json; charset=utf-8', headers: more } = answer;
  const headers = { 'content-type': type, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', ...more };
  if ('raw' in response) {
    response.code(status).headers(headers).send(body);
    return;
  }
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
  // Node omits the body for the method HEAD.
  response.end(body);
}

export function errorAnswer(
  status: number, code: string, message: string, headers: Record<string, string> = {},
): Answer {
  return { status, body: json({ code, message }), headers };
}

/** The answer to other methods than GET and HEAD. */
export function refuseMethod({ method }: EndpointRequest): Answer | undefined {
  if (method === 'GET' || method === 'HEAD') return undefined;
  return errorAnswer(405, 'METHOD_NOT_ALLOWED', 'only GET and HEAD are answered here', { allow: 'GET, HEAD' });
}

const withoutBigints = (_: string, field: unknown): unknown => (typeof field === 'bigint' ? String(field) : field);

export const json = (value: object): string => `${JSON.stringify(value, withoutBigints)}\n`;
