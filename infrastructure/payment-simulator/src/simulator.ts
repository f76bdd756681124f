// The payment simulator, put together: for main.ts, and for tests that want one of their own in process.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Ledger, openLedger } from './data/ledger.ts';
import { createDoor } from './http/door.ts';
import { createListener } from './http/listener.ts';
import { createMoods } from './moods.ts';

export type { MoodRule, MoodTerms } from './domain/mood.ts';

export type SimulatorOptions = {
  /** What callers of /v1 present. */
  readonly apiKey: string;
  /** What readers of /ledger present; the API key where not set. */
  readonly ledgerKey?: string | undefined;
  readonly ledgerFile: string;
  /** 0, the default, takes any free port. */
  readonly port?: number;
  readonly host?: string;
  /** How long a stop waits for the calls under way, in milliseconds. */
  readonly shutdownTimeoutMs?: number;
};

export type Simulator = {
  /** Opens the ledger and listens. @throws where the port is taken or another process has the ledger. */
  start(): Promise<void>;
  /** Takes no more calls, ends those under way, closes the ledger. */
  stop(): Promise<void>;
  /** Such as `http://127.0.0.1:8090`. @throws where it is not started. */
  readonly url: string;
};

// Longer than any client keeps an idle connection, so that no call is sent on one that is about to be closed.
const keepAliveMs = 65_000;

export function createSimulator(options: SimulatorOptions): Simulator {
  const { apiKey, ledgerKey = apiKey, ledgerFile, port = 0, host = '127.0.0.1', shutdownTimeoutMs = 9_000 } = options;
  let running: { server: Server; ledger: Ledger; drain: () => void } | undefined;

  return {
    async start() {
      const ledger = openLedger(ledgerFile);
      let draining = false;
      const moods = createMoods();
      const answerCall = createDoor({ ledger, moods });
      const server = createServer(
        { keepAliveTimeout: keepAliveMs },
        createListener({ apiKey, ledgerKey, moods, answerCall, isDraining: () => draining }),
      );
      try {
        server.listen(port, host);
        await once(server, 'listening');
      } catch (error) {
        ledger.close();
        throw error;
      }
      running = {
        server,
        ledger,
        drain: () => {
          draining = true;
          // What waits in a mood to be slow is done at once.
          moods.removeAll();
        },
      };
    },

    async stop() {
      if (running === undefined) return;
      const { server, ledger, drain } = running;
      running = undefined;
      drain();
      const closed = once(server, 'close');
      server.close();
      const deadline = setTimeout(() => server.closeAllConnections(), shutdownTimeoutMs);
      await closed;
      clearTimeout(deadline);
      ledger.close();
    },

    get url() {
      if (running === undefined) throw new Error('the payment simulator is not started');
      const { port: actualPort } = running.server.address() as AddressInfo;
      return `http://${host.includes(':') ? `[${host}]` : host}:${actualPort}`;
    },
  };
}
