import type { ServerResponse } from 'node:http';
import {
  newSessionId, type ConnectionOffer, type ConnectionTerms, type ModuleError, type TransportSocket, type UpgradeRequest,
} from '../../src/index.ts';
import { answerError, answerJson } from './polling-answer.ts';
import { PollingSocket } from './polling-socket.ts';
import type { Sessions } from './sessions.ts';

export interface OfferHost {
  readonly nodeId: string;
  /** What the client must know of the options. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly sessions: Sessions;
}

/** A request that opens a session. */
export class PollingOffer implements ConnectionOffer {
  readonly request: UpgradeRequest;
  // A page that may read the answer sees its status.
  readonly seesStatus = true;
  readonly #response: ServerResponse;
  readonly #host: OfferHost;

  constructor(request: UpgradeRequest, response: ServerResponse, host: OfferHost) {
    this.request = request;
    this.#response = response;
    this.#host = host;
  }

  get isGone(): boolean { return this.#response.destroyed; }

  // The plugin has checked the request already.
  check(): void { /* Nothing is left to check. */ }

  complete(terms: ConnectionTerms): TransportSocket | undefined {
    if (this.isGone) return undefined;
    const { headers } = this.request;
    const { nodeId, settings, sessions } = this.#host;
    const offered = headers['sec-websocket-protocol']?.split(',').map((name) => name.trim()) ?? [];
    const id = `${nodeId}.${newSessionId()}`;
    const protocol = terms.selectProtocol(offered);
    const socket = new PollingSocket(id, headers.origin, protocol, sessions, terms);
    sessions.opened(socket);
    answerJson(this.#response, 200, { session: id, protocol, ...settings });
    return socket;
  }

  refuse(error: ModuleError): void { answerError(this.#response, error); }
}
