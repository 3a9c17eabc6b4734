import type { ServerResponse } from 'node:http';
import {
  check, definePlugin, hasCode, ModuleError, rules, toError,
  type Health, type Metric, type Metrics, type Plugin, type WebSocketManager,
} from '../src/index.ts';
import { clientFile } from './endpoints/client-file.ts';
import { errorAnswer, json, refuseMethod, send, type Answer, type FastifyReply } from './endpoints/endpoint-answer.ts';
import {
  localGuard, openGuard, tokenGuard, type EndpointGuard, type EndpointRequest,
} from './endpoints/endpoint-guard.ts';
import { positionHandler } from './endpoints/position-handler.ts';
import { prometheus, PROMETHEUS } from './endpoints/prometheus.ts';

export {
  positionHandler, type PositionHandler, type PositionOptions, type PositionRequest,
} from './endpoints/position-handler.ts';

export interface EndpointPaths {
  /** `false` does not serve this path. @default '/api/websocket/health' */
  readonly health?: string | false | undefined;
  /** @default '/api/websocket/metrics' */
  readonly metrics?: string | false | undefined;
  /** @default '/api/websocket/metrics/prometheus' */
  readonly prometheus?: string | false | undefined;
}

export interface HandlerOptions {
  /** Requests must carry `Authorization: Bearer <token>`. @default none */
  readonly token?: string | undefined;
}

export interface EndpointsOptions extends HandlerOptions {
  /** The paths. `false` serves none: use the handlers in routes of the application. */
  readonly paths?: EndpointPaths | false | undefined;
  /**
   * What requests without a token may read: everything (`true`), the status of the health (`'health'`), nothing
   * (`false`).
   * @default false with a token; without one 'health', and everything for requests from this machine
   */
  readonly open?: boolean | 'health' | undefined;
  /** The prefix of all names in the Prometheus text. @default 'websocket_' */
  readonly prefix?: string | undefined;
  /**
   * Serves the client for pages, to everyone: `true` at `/websocket-client.js`, or at this path. Its outbox and
   * persistence are beside it, at `/websocket-client-offline.js`. @default false
   */
  readonly client?: boolean | string | undefined;
}

export interface EndpointsApi {
  /** All metrics, in Prometheus's text format. */
  prometheus(): string;
}
declare module '../src/index.ts' { interface PluginApis { endpoints: EndpointsApi } }

/** A handler for `app.get()` of Express 4, Express 5 and Fastify, and for Node's own server. */
export type EndpointHandler = (request: EndpointRequest, response: ServerResponse | FastifyReply) => void;

type Answering = () => Answer;

const PATHS = {
  health: '/api/websocket/health',
  metrics: '/api/websocket/metrics',
  prometheus: '/api/websocket/metrics/prometheus',
} as const;
const CLIENT_PATH = '/websocket-client.js';
/** The client asks for it beside its own path, if it polls. */
const POLLING_FILE = 'websocket-client-polling.js';

const { either, group, rule } = rules;
const off = rule('false', (value) => value === false);
const matches = (pattern: RegExp) => (value: unknown): boolean => typeof value === 'string' && pattern.test(value);
const path = either(rules.path, off);
const token = rule('a string', (value) => typeof value === 'string');
const ENDPOINTS_RULES = {
  paths: either(group({ fields: { health: path, metrics: path, prometheus: path } }), off),
  token,
  open: either(rules.boolean, rules.oneOf('health')),
  prefix: rule('letters, digits, "_" and ":", not beginning with a digit', matches(/^(?!\d)[\w:]*$/)),
  client: either(rules.boolean, rules.path),
};

/**
 * Serves health, metrics, the Prometheus text and, if wanted, the client for pages on paths of the manager's server.
 * Any framework may serve other paths.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use(endpoints({ token: process.env.METRICS_TOKEN }))
 */
export function endpoints(options: EndpointsOptions = {}): Plugin<'endpoints', never, EndpointsApi> {
  const given = check(options, ENDPOINTS_RULES, 'endpoints');
  const { open = given.token === undefined ? 'health' : false, prefix = 'websocket_' } = given;
  if (open === true && given.token !== undefined) {
    const expected = 'false or "health", because a token is given';
    throw new ModuleError('OPTION_INVALID', { path: 'endpoints.open', given: 'true', expected });
  }
  const paths: EndpointPaths = given.paths === false ? {} : { ...PATHS, ...given.paths };
  const closed = given.token === undefined ? localGuard : tokenGuard(given.token, 'endpoints.token');
  const guard = open === true ? openGuard : closed;
  const { client = false } = given;
  const clientPath = client === true ? CLIENT_PATH : client;
  const clientFiles = clientPath === false ? [] : [
    [clientPath, clientFile('websocket-client.js')],
    [new URL(POLLING_FILE, `http://host${clientPath}`).pathname, clientFile(POLLING_FILE)],
    [clientPath.replace(/(\.js)?$/, '-offline$1'), clientFile('websocket-client-offline.js')],
  ] as const;

  return definePlugin({
    name: 'endpoints',
    setup(context): EndpointsApi {
      const { node } = context;
      const text = (): string => prometheus(node.describeMetrics(), prefix) + prometheus(processMetrics());
      const serve = (at: string | false | undefined, answer: Answering, orElse?: Answering): void => {
        if (typeof at !== 'string') return;
        context.http(at, (request, response) => send(response, choose(request, guard, answer, orElse)));
      };
      const status: Answering = () => statusAnswer(node.health());
      serve(paths.health, () => healthAnswer(node.health()), open === 'health' ? status : undefined);
      serve(paths.metrics, () => metricsAnswer(node.metrics()));
      serve(paths.prometheus, () => prometheusAnswer(text()));
      for (const [at, serveFile] of clientFiles) {
        context.http(at, (request, response) => {
          const wrongMethod = refuseMethod(request);
          if (wrongMethod) send(response, wrongMethod);
          else serveFile(request, response);
        });
      }
      return { prometheus: text };
    },
  });
}

/**
 * Answers with `getHealth()`, and with the status 503 when it is unhealthy.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example app.get('/health', healthHandler(manager))
 */
export function healthHandler(
  manager: Pick<WebSocketManager, 'getHealth'>, options?: HandlerOptions,
): EndpointHandler {
  return handler(() => healthAnswer(manager.getHealth()), options);
}

/** Answers with `getMetrics()`. @throws OPTION_INVALID, OPTION_UNKNOWN */
export function metricsHandler(
  manager: Pick<WebSocketManager, 'getMetrics'>, options?: HandlerOptions,
): EndpointHandler {
  return handler(() => metricsAnswer(manager.getMetrics()), options);
}

/**
 * Answers with the Prometheus text. The plugin `endpoints` must be loaded; `paths: false` keeps it from serving paths.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 */
export function prometheusHandler(manager: Pick<WebSocketManager, 'api'>, options?: HandlerOptions): EndpointHandler {
  return handler(() => {
    try {
      return prometheusAnswer(manager.api('endpoints').prometheus());
    } catch (error) {
      if (!hasCode(error, 'PLUGIN_UNKNOWN')) throw error;
      return errorAnswer(503, error.code, `${error.message}: manager.use('endpoints', { paths: false })`);
    }
  }, options);
}

function handler(answer: Answering, options: HandlerOptions = {}): EndpointHandler {
  const given = check(options, { token }, 'endpoints');
  const guard = given.token === undefined ? openGuard : tokenGuard(given.token, 'endpoints.token');
  return (request, response) => {
    let chosen: Answer;
    try {
      chosen = choose(request, guard, answer);
    } catch (error) {
      // Node's server would end the process if this were thrown: a check may return a value that is not JSON.
      process.emitWarning(toError(error));
      chosen = errorAnswer(500, 'INTERNAL_ERROR', 'the answer could not be written as JSON');
    }
    send(response, chosen);
  };
}

function choose(request: EndpointRequest, guard: EndpointGuard, answer: Answering, orElse?: Answering): Answer {
  const wrongMethod = refuseMethod(request);
  if (wrongMethod) return wrongMethod;
  const refusal = guard(request);
  if (refusal === undefined) return answer();
  return orElse ? orElse() : refused(refusal);
}

function refused({ status = 403, code, message }: ModuleError): Answer {
  // RFC 6750 3: the scheme, and the error if a token was given.
  const challenge = code === 'TOKEN_INVALID' ? 'Bearer error="invalid_token"' : 'Bearer';
  return errorAnswer(status, code, message, status === 401 ? { 'www-authenticate': challenge } : {});
}

const statusOf = ({ status }: Health): number => (status === 'unhealthy' ? 503 : 200);
const healthAnswer = (health: Health): Answer => ({ status: statusOf(health), body: json(health) });
const statusAnswer = (health: Health): Answer => ({ status: statusOf(health), body: json({ status: health.status }) });
const metricsAnswer = (metrics: Metrics): Answer => ({ status: 200, body: json(metrics) });
const prometheusAnswer = (body: string): Answer => ({ status: 200, body, type: PROMETHEUS });

/** The memory of the process, with the names that Prometheus's client libraries use. */
function processMetrics(): [name: string, metric: Metric][] {
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
  const gauge = (name: string, value: number, help: string): [string, Metric] =>
    [name, { type: 'gauge', help, value }];
  return [
    gauge('process_resident_memory_bytes', rss, 'Resident memory size in bytes.'),
    gauge('nodejs_heap_size_used_bytes', heapUsed, 'Process heap size used from Node.js in bytes.'),
    gauge('nodejs_heap_size_total_bytes', heapTotal, 'Process heap size from Node.js in bytes.'),
    gauge('nodejs_external_memory_bytes', external, 'Node.js external memory size in bytes.'),
  ];
}

endpoints.endpoints = endpoints;
endpoints.healthHandler = healthHandler;
endpoints.metricsHandler = metricsHandler;
endpoints.prometheusHandler = prometheusHandler;
endpoints.positionHandler = positionHandler;
export { endpoints as default, endpoints as 'module.exports' };
