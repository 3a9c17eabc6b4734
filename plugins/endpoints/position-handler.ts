import type { ServerResponse } from 'node:http';
import { check, hasCode, ModuleError, rules, toError, type WebSocketManager } from '../../src/index.ts';
import type { EndpointRequest } from './endpoint-guard.ts';
import { errorAnswer, json, refuseMethod, send, type Answer, type FastifyReply } from './endpoint-answer.ts';

/** A request for the position of a topic. */
export interface PositionRequest extends EndpointRequest {
  /** With the topic in the query: `?topic=news`. */
  readonly url?: string | undefined;
}

export interface PositionOptions<Request extends PositionRequest = PositionRequest> {
  /** Whether the user of the request may read the topic. An application authenticates the request here. */
  readonly canRead: (attempt: { readonly topic: string; readonly request: Request }) => boolean | Promise<boolean>;
}

/** A handler for `app.get()` of Express and Fastify, and for Node's own server. */
export type PositionHandler<Request extends PositionRequest = PositionRequest> =
  (request: Request, response: ServerResponse | FastifyReply) => void;

const RULES = { canRead: rules.callback };
/** Topics have at most this many UTF-16 units. */
const MAX_LENGTH = 512;

/**
 * Answers `GET ?topic=news` with the position of the topic: `{ topic, epoch, offset, id }`. A page reads it before it
 * loads its state, and subscribes with this position: so nothing is missing between the two. A topic without a history
 * and one that the user may not read are answered alike. The plugin `history` must be loaded.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example app.get('/position', positionHandler(manager, { canRead: ({ request }) => isLoggedIn(request) }))
 */
export function positionHandler<Request extends PositionRequest>(
  manager: Pick<WebSocketManager, 'api'>, options: PositionOptions<Request>,
): PositionHandler<Request> {
  const { canRead } = check<PositionOptions<Request>>(options, RULES, 'position');
  if (typeof canRead as unknown !== 'function') {
    throw new ModuleError('OPTION_INVALID', { path: 'position.canRead', given: 'undefined', expected: 'a function' });
  }

  const answer = async (request: Request): Promise<Answer> => {
    const topic = topicOf(request);
    if (topic === undefined) return errorAnswer(400, 'VALIDATION_FAILED', 'name the topic in the query: ?topic=news');
    const reason = 'this topic is unknown, has no history, or you may not read it';
    const unknown = errorAnswer(404, 'HISTORY_UNKNOWN', reason);
    // Always asked, so that the time of the answer does not tell which topics exist.
    const mayRead = await canRead({ topic, request });
    const history = manager.api('history');
    if (!mayRead || !history.has(topic)) return unknown;
    return { status: 200, body: json({ topic, ...await history.position(topic) }) };
  };
  return (request, response) => {
    const refused = refuseMethod(request);
    if (refused) return send(response, refused);
    answer(request).catch((error: unknown) => failure(error)).then((given) => send(response, given), () => undefined);
  };
}

function topicOf({ url = '' }: PositionRequest): string | undefined {
  const topic = new URLSearchParams(url.split('?', 2)[1]).get('topic') ?? '';
  return topic !== '' && topic.length <= MAX_LENGTH ? topic : undefined;
}

function failure(thrown: unknown): Answer {
  const error = toError(thrown);
  if (error instanceof ModuleError && error.expose) return errorAnswer(error.status ?? 500, error.code, error.message);
  if (hasCode(error, 'PLUGIN_UNKNOWN')) {
    return errorAnswer(503, error.code, `${error.message}: manager.use('history', { … })`);
  }
  process.emitWarning(error);
  return errorAnswer(500, 'INTERNAL_ERROR', 'the position could not be read');
}
