// The process: read the settings, start, stop on a signal.
import { type Config, loadConfig } from './config.ts';
import { createSimulator } from './simulator.ts';

function readConfig(): Config {
  try {
    return loadConfig(process.env);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}

const config = readConfig();
const simulator = createSimulator({
  apiKey: config.STRIPE_API_KEY,
  ledgerKey: config.LEDGER_KEY,
  ledgerFile: config.LEDGER_FILE,
  port: config.PORT,
  host: config.HOST,
  shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS,
});

try {
  await simulator.start();
} catch (error) {
  console.error(`The payment simulator cannot start: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}
console.log(`The payment simulator listens on ${simulator.url}, its ledger is ${config.LEDGER_FILE}.`);

// A second signal ends the process at once, as the listener is gone by then.
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, async () => {
    await simulator.stop();
    console.log('The payment simulator has stopped.');
    process.exit(0);
  });
}
