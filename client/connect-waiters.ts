interface Waiter { readonly resolve: () => void; readonly reject: (error: Error) => void }

/** The calls of `connect()` that wait for the connection. */
export class ConnectWaiters {
  readonly #waiters: Waiter[] = [];

  add(): Promise<void> {
    const connected = new Promise<void>((resolve, reject) => { this.#waiters.push({ resolve, reject }); });
    // The failure is an event, too: a caller need not await the result.
    connected.catch(() => undefined);
    return connected;
  }

  resolve(): void { for (const { resolve } of this.#waiters.splice(0)) resolve(); }
  reject(error: Error): void { for (const { reject } of this.#waiters.splice(0)) reject(error); }
}
