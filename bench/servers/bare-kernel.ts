import { WebSocketModule } from '../../index.ts';
import { compression } from '../../middleware/compression.ts';
import { application } from './application.ts';
import { serve } from './serve.ts';

/** This package with nothing on it. */
serve((server, settings) => {
  const manager = WebSocketModule.create({ server, maxConnections: 100_000, handlers: [] });
  if (settings.compression) manager.use(compression());
  application(manager);
  return manager.ready();
});
