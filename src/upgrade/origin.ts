import type { Settings } from '../runtime/options.ts';

/**
 * Whether a page of this origin may connect. A browser lets any page connect, with the cookies of the user, and sends
 * the page's origin: without this check, any page could act as the user (CWE-1385).
 * @param host the request's Host header
 */
export function isOriginAllowed(origin: string, host: string | undefined, allowed: Settings['origins']): boolean {
  if (allowed === '*') return true;
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  if (url.origin !== origin.toLowerCase()) return false;
  if (allowed) return allowed.some((one) => one.toLowerCase() === url.origin);
  const serverUrl = `${url.protocol}//${host ?? ''}`;
  return URL.canParse(serverUrl) && new URL(serverUrl).host === url.host;
}
