/** What a page or worker tells about its network and visibility. */
export interface PageHooks {
  /** A good moment to connect, or to check the connection. */
  readonly wake: (why: string) => void;
  /** The network may have changed: the connection may be dead. */
  readonly check: (why: string) => void;
  readonly offline: () => void;
  /** What was learned about the network may not hold any more. Called before `wake` and `check`. */
  readonly networkChanged: () => void;
  /** The page goes into the back/forward cache, which an open connection would prevent. */
  readonly hide: () => void;
}

interface Target {
  addEventListener?: ((type: string, listener: () => void) => void) | undefined;
  removeEventListener?: ((type: string, listener: () => void) => void) | undefined;
}

interface Page extends Target {
  readonly document?: Target & { readonly visibilityState?: string | undefined } | undefined;
  readonly navigator?: { readonly onLine?: boolean | undefined; readonly connection?: Target | undefined } | undefined;
}

const page = globalThis as unknown as Page;

const isOffline = (): boolean => page.navigator?.onLine === false;
const isHidden = (): boolean => page.document?.visibilityState === 'hidden';

/** Why no attempt to connect is made now, if so. */
export function whyAsleep({ whileHidden }: { readonly whileHidden: boolean }): string | undefined {
  if (isOffline()) return 'the device is offline';
  return isHidden() && !whileHidden ? 'the page is hidden' : undefined;
}

/** Listens to the page. Outside browsers there are no events. Returns a function that removes the listeners. */
export function listenToPage({ wake, check, offline, hide, networkChanged }: PageHooks): () => void {
  const { document, navigator } = page;
  const removals = ([
    [page, 'online', () => {
      networkChanged();
      wake('the network is back');
    }],
    [page, 'offline', offline],
    [page, 'pagehide', hide],
    [page, 'pageshow', () => wake('the page is shown again')],
    [document, 'visibilitychange', () => isHidden() || wake('the page is visible')],
    [document, 'resume', () => wake('the page was resumed')],
    [navigator?.connection, 'change', () => {
      networkChanged();
      check('the network changed');
    }],
  ] as const).map(([target, type, listener]) => {
    target?.addEventListener?.(type, listener);
    return () => target?.removeEventListener?.(type, listener);
  });
  return () => removals.forEach((remove) => remove());
}
