// Run once before the tests that start platforms: makes the databases with all that is in them at first, for each platform to begin with a copy.
//   node test/support/prepare.ts <folder>
import { mkdirSync } from 'node:fs';
import { preparePlatform } from '../../infrastructure/local/src/platform.ts';
import { cacheDir, commonEnv } from './platform-env.ts';

const [dir = ''] = process.argv.slice(2);
mkdirSync(dir, { recursive: true });
await preparePlatform({ dir, cacheDir, env: commonEnv(), log: () => {}, restart: false, fsync: false });
