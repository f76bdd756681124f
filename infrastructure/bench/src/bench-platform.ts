// The platform that orders are measured on, whose services can be started anew with tracing or without.
import type { Platform } from '@glasshouse/local/platform';
import { MongoClient } from 'mongodb';
import type { Servers } from './floor.ts';
import { openShop, type Shop } from './shop.ts';
import { startSpanSink } from './span-sink.ts';
import type { Workshop } from './workshop.ts';

export type Tracing = 'off' | '5 %';

export const allServices = [
  'api-gateway',
  'user-service',
  'product-service',
  'order-service',
  'payment-service',
  'notification-service',
] as const;

export interface Bench {
  platform: Platform;
  servers: Servers;
  shop: Shop;
  /** The processes of the platform, by name. */
  processIds(): Map<string, number>;
  /** How many mails have gone out so far. */
  mailsSent(): Promise<number>;
  restartServices(tracing: Tracing): Promise<void>;
  close(): Promise<void>;
}

/** What OpenTelemetry is told for a share of the traces, by its own names. */
export const tracingSettings = (endpoint: string, share: number): NodeJS.ProcessEnv => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
  OTEL_TRACES_SAMPLER_ARG: String(share),
});

/** @param customers how many register */
export async function startBench(workshop: Workshop, portOffset: number, customers: number): Promise<Bench> {
  const sink = await startSpanSink(workshop);
  const traced = tracingSettings(sink, 0.05);
  let tracing: Tracing = 'off';
  const platform = await workshop.startPlatform({
    name: 'platform',
    portOffset,
    // With an endpoint here the processes load what can trace, as they do in their containers; without one of their own it does nothing.
    env: traced,
    adjust: (settings) =>
      tracing === 'off'
        ? Object.fromEntries(Object.entries(settings).filter(([name]) => !name.startsWith('OTEL_')))
        : settings,
  });
  const { admin, processes } = platform;
  const shop = await openShop(platform, customers);
  const mongo = new MongoClient(admin.mongoUrl);
  return {
    platform,
    shop,
    servers: { postgresUrl: admin.postgresUrl ?? '', mongoUrl: admin.mongoUrl, rabbitmqUrl: admin.rabbitmqUrl },
    processIds: () => new Map([...processes].map(([name, one]) => [name, one.pid() ?? 0])),
    mailsSent: () => mongo.db('notifications').collection('mails').countDocuments({ status: 'sent' }),
    async restartServices(wanted) {
      tracing = wanted;
      const all = allServices.map((name) => processes.get(name));
      await Promise.all(all.map((one) => one?.stop()));
      await Promise.all(all.map((one) => one?.start()));
    },
    async close() {
      await shop.close();
      await mongo.close();
    },
  };
}
