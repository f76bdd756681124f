// The process: reads the settings, creates the gateway, starts it, and stops it on SIGTERM.
import { run } from '@glasshouse/shared/process';
import { loadConfig } from './config.ts';
import { createApiGateway } from './service.ts';

await run(() => createApiGateway(loadConfig(process.env)));
