import { expect } from 'chai';
import { PollingSocket } from '../../client/polling-socket.ts';
import { longPolling } from '../../plugins/long-polling.ts';
import { connect, transportCases, transportSuite, type TransportBackend, type TransportClient } from '../../testing/index.ts';

type Data = string | Uint8Array;

/** Hands messages to a listener that may come later than they do. */
function mailbox() {
  const early: Data[] = [];
  let hand = (data: Data): void => void early.push(data);
  return {
    put: (data: Data) => hand(data),
    onMessage: (listener: (data: Data) => void): void => {
      hand = listener;
      for (const data of early.splice(0)) listener(data);
    },
  };
}

const byWebSocket: TransportBackend = {
  async connect(url): Promise<TransportClient> {
    const { ws, closed } = await connect(url);
    const { put, onMessage } = mailbox();
    ws.on('message', (data: Buffer, isBinary: boolean) => put(isBinary ? data : data.toString()));
    return {
      send: (data) => ws.send(data), close: (code, reason) => ws.close(code, reason), kill: () => ws.terminate(), closed, onMessage,
    };
  },
};

const byPolling: TransportBackend = {
  use: () => [longPolling()],
  async connect(url): Promise<TransportClient> {
    const socket = new PollingSocket(url, [], { interval: 20, maxInterval: 100, timeout: 30_000 });
    const { put, onMessage } = mailbox();
    let failure = '';
    socket.onmessage = ({ data }: { data: string | ArrayBuffer }) => put(typeof data === 'string' ? data : new Uint8Array(data));
    socket.onerror = ({ message }: { message: string }) => { failure = message; };
    const closed = new Promise<{ code: number; reason: string }>((resolve) => {
      socket.onclose = ({ code, reason }: { code: number; reason: string }) => resolve({ code, reason });
    });
    const opened = new Promise<void>((resolve) => { socket.onopen = () => resolve(); });
    await Promise.race([opened, closed.then(({ code }) => { throw new Error(`${code} ${failure}`); })]);
    return {
      send: (data) => socket.send(data), close: (code, reason) => socket.close(code, reason), kill: () => socket.terminate(), closed, onMessage,
    };
  },
};

transportSuite('WebSocket', byWebSocket);
transportSuite('long polling', byPolling);

describe('the transport suite', () => {
  it('gives its tests as a list, with a title for each', () => {
    const titles = transportCases(byWebSocket).map(({ title }) => title);

    expect(new Set(titles).size).to.equal(titles.length).and.to.be.above(10);
  });

  it('fails for a transport that turns messages around', async () => {
    const turning: TransportBackend = {
      async connect(url) {
        const client = await byWebSocket.connect(url);
        const waiting: Data[] = [];
        return { ...client, send(data) {
          // Two at a time, the second one first.
          if (waiting.push(data) < 2) return;
          for (const each of waiting.splice(0).reverse()) client.send(each);
        } };
      },
    };

    const [order] = transportCases(turning).filter(({ title }) => title.includes('in order'));
    const failure = await order!.run().then(() => undefined, (error: unknown) => error as Error);

    expect(failure).to.have.property('name', 'AssertionError');
  });
});
