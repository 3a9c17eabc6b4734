import type { Settings } from '../runtime/options.ts';

/**
 * Whether a page of this origin may connect. Browsers send an Origin with every handshake, from any page: without this
 * check, any page could use the user's cookies (CWE-1385).
 * @param host the request's Host header
 */
export function isOriginAllowed(origin: string, host: string | undefined, allowed: Settings['origins']): boolean {
  if (allowed === '*') return true;
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  if (url.origin !== origin.toLowerCase()) return false;
  if (allowed) return allowed.some((one) => one.toLowerCase() === url.origin);
  const own = `${url.protocol}//${host ?? ''}`;
  return URL.canParse(own) && new URL(own).host === url.host;
}
