// The process: reads the settings, creates the service, starts it, and stops it on SIGTERM.
import { run } from '@glasshouse/shared/process';
import { loadConfig } from './config.ts';
import { createProductService } from './service.ts';

await run(() => createProductService(loadConfig(process.env)));
