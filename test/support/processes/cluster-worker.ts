// A worker of a cluster: broadcasts, appends to a history, tells its process id, and ends itself when it is asked to.
import { createServer } from 'node:http';
import WebSocketModule, { gracefulShutdown } from '../../../index.ts';
import { ClusterAdapter } from '../../../adapters/cluster.ts';
import { history } from '../../../plugins/history.ts';
import { recovery } from '../../../plugins/recovery.ts';

const { BROKEN, SILENT, BY_ADDRESS } = process.env;
if (BROKEN) throw new Error('this worker is broken');

const server = createServer();
const manager = WebSocketModule.create({ server, adapter: new ClusterAdapter(), drainTimeout: 1_000, logLevel: 'error' });
manager.registerHandler('who', () => process.pid);
manager.registerHandler('tell', (message) => manager.broadcast({ type: 'told', content: message.content as string }));
manager.use(history({ topics: { news: { size: 100 } }, canRead: () => true })).use(recovery());
manager.registerHandler('append', async (message) => manager.api('history').append('news', { type: 'news', content: message.content as string }));
manager.registerHandler('nodes', () => manager.inspect()['nodes']);
manager.registerHandler('crash', () => process.kill(process.pid, 'SIGKILL'));
gracefulShutdown(manager, { server, retryWithin: 0 });
await manager.ready();
if (BY_ADDRESS) ClusterAdapter.accept(server);
else if (!SILENT) server.listen(0, '127.0.0.1');
