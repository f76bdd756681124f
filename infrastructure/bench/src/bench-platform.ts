// A platform that orders are measured on, with tracing or without, and what has to be known of it from outside.
import type { Platform } from '@glasshouse/local/platform';
import { MongoClient } from 'mongodb';
import type { Servers } from './floor.ts';
import { openShop, type Shop } from './shop.ts';
import { startSpanSink } from './span-sink.ts';
import type { Workshop } from './workshop.ts';

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
  close(): Promise<void>;
}

/** What OpenTelemetry is told for a share of the traces, by its own names. */
export const tracingSettings = (endpoint: string, share: number): NodeJS.ProcessEnv => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
  OTEL_TRACES_SAMPLER_ARG: String(share),
});

/**
 * @param options.customers how many register
 * @param options.tracedShare of the traces that are sent, to a receiver that forgets them; without it there is no tracing
 */
export async function startBench(
  workshop: Workshop,
  options: { name: string; portOffset: number; customers: number; tracedShare?: number },
): Promise<Bench> {
  const { name, portOffset, customers, tracedShare } = options;
  const env = tracedShare === undefined ? {} : tracingSettings(await startSpanSink(workshop), tracedShare);
  const platform = await workshop.startPlatform({ name, portOffset, env });
  const { admin, processes } = platform;
  const shop = await openShop(platform, customers);
  const mongo = new MongoClient(admin.mongoUrl);
  return {
    platform,
    shop,
    servers: { postgresUrl: admin.postgresUrl ?? '', mongoUrl: admin.mongoUrl, rabbitmqUrl: admin.rabbitmqUrl },
    processIds: () => new Map([...processes].map(([name, one]) => [name, one.pid() ?? 0])),
    mailsSent: () => mongo.db('notifications').collection('mails').countDocuments({ status: 'sent' }),
    async close() {
      await shop.close();
      await mongo.close();
    },
  };
}
