import type { PollingSocket } from './polling-socket.ts';

export interface PollAnswer { readonly position: number; readonly bytes: Buffer }

/**
 * Waits for bytes to a client, but not longer than `milliseconds`. If there are none, the answer is empty.
 * @throws POLLING_INVALID, POLLING_SESSION_UNKNOWN
 */
export function pollOnce(
  socket: PollingSocket, received: number, milliseconds: number, signal?: AbortSignal,
): Promise<PollAnswer> {
  return new Promise((resolve) => {
    let answer: PollAnswer = { position: received, bytes: Buffer.alloc(0) };
    const end = (): void => socket.unpoll(poll);
    const timer = setTimeout(end, milliseconds);
    const poll = {
      isStream: false,
      take: (position: number, bytes: Buffer): void => { answer = { position, bytes }; },
      end: (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', end);
        resolve(answer);
      },
    };
    signal?.addEventListener('abort', end);
    try {
      socket.poll(received, poll);
    } catch (error) {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      throw error;
    }
  });
}

/**
 * Sends bytes to a client as server-sent events, until the time is over or too many bytes are not confirmed. Returns a
 * function that ends it.
 */
export function pollStream(
  socket: PollingSocket, received: number, milliseconds: number,
  { write, end: ended }: { readonly write: (event: string) => void; readonly end: () => void },
): () => void {
  const stop = (): void => socket.unpoll(poll);
  const timer = setTimeout(stop, milliseconds);
  const poll = {
    isStream: true,
    take: (position: number, bytes: Buffer): void => write(`id: ${position}\ndata: ${bytes.toString('base64')}\n\n`),
    end: (): void => {
      clearTimeout(timer);
      ended();
    },
  };
  try {
    socket.poll(received, poll);
  } catch (error) {
    clearTimeout(timer);
    throw error;
  }
  return stop;
}
