import { WebSocketModule } from '../../index.ts';
import { compression } from '../../middleware/compression.ts';
import { errorHandler } from '../../middleware/error-handler.ts';
import { logging } from '../../middleware/logging.ts';
import { validation } from '../../middleware/validation.ts';
import { monitoring } from '../../plugins/monitoring.ts';
import { application } from './application.ts';
import { serve } from './serve.ts';

/** This package as people run it, configured as its documentation shows. */
serve((server, settings) => {
  const manager = WebSocketModule.create({ server, maxConnections: 100_000, logLevel: 'warn' });
  manager.use([
    errorHandler(),
    logging(),
    monitoring({ alertThresholds: { errorRate: 0.05, responseTime: 5_000, connectionCount: 90_000 } }),
    validation({
      maxMessageLength: 10_000,
      maxContentLength: 8_000,
      allowedTypes: ['text', 'init', 'ping', 'echo', 'save', 'broadcast', 'join', 'say'],
      enableSanitization: true,
    }),
  ]);
  if (settings.compression) manager.use(compression());
  application(manager);
  return manager.ready();
});
