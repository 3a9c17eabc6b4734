import type { ServerResponse } from 'node:http';
import {
  newSessionId, type ConnectionOffer, type ConnectionTerms, type ModuleError, type TransportSocket, type UpgradeRequest,
} from '../../src/index.ts';
import { answerError, answerJson } from './polling-answer.ts';
import { PollingSocket } from './polling-socket.ts';
import type { Sessions } from './sessions.ts';

export interface OfferHost {
  readonly nodeId: string;
  /** The options that the client must know. They are in the answer. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly sessions: Sessions;
}

/** PollingOffer is a request that opens a session. The kernel checks and accepts it like an upgrade. */
export class PollingOffer implements ConnectionOffer {
  readonly request: UpgradeRequest;
  // Unlike a refused upgrade, the status of this answer can be read by a page.
  readonly seesStatus = true;
  readonly #response: ServerResponse;
  readonly #host: OfferHost;

  constructor(request: UpgradeRequest, response: ServerResponse, host: OfferHost) {
    this.request = request;
    this.#response = response;
    this.#host = host;
  }

  get isGone(): boolean { return this.#response.destroyed; }

  check(): void { /* The plugin has checked the request already. */ }

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
