import type { ConnectionLayer } from '../../index.ts';

/** How a client connects from an address, behind a trusted proxy. */
export const from = (ip: string) => ({ headers: { 'X-Forwarded-For': ip } });
/** How a client connects as a user, with the layer `names`. */
export const as = (name: string) => ({ search: `?user=${name}` });

/** Identifies connections by the query. */
export const names: ConnectionLayer = {
  type: 'connection', name: 'names',
  handler(_ws, { url }) {
    const id = new URL(url, 'http://localhost').searchParams.get('user');
    return id === null ? {} : { user: { id } };
  },
};
