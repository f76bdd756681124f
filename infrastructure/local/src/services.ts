// The six services as the local runner sees them: where they listen, what they keep their data in, how others find them.
import type { ServiceName } from '@glasshouse/shared/contracts';

export interface ServiceDescription {
  name: ServiceName | 'api-gateway';
  port: number;
  /** The setting by which others find it. */
  urlSetting: string;
  /** Only where it has one; `urlSetting` names one of your own instead of the embedded one. */
  postgres?: { database: string; role: string; urlSetting: string };
  mongo?: { database: string; urlSetting: string };
  usesBroker: boolean;
}

export const services: readonly ServiceDescription[] = [
  {
    name: 'user-service',
    port: 3001,
    urlSetting: 'USER_SERVICE_URL',
    postgres: { database: 'users', role: 'user_service', urlSetting: 'USERS_DATABASE_URL' },
    usesBroker: true,
  },
  {
    name: 'product-service',
    port: 3002,
    urlSetting: 'PRODUCT_SERVICE_URL',
    mongo: { database: 'products', urlSetting: 'PRODUCTS_MONGO_URL' },
    usesBroker: true,
  },
  {
    name: 'order-service',
    port: 3003,
    urlSetting: 'ORDER_SERVICE_URL',
    postgres: { database: 'orders', role: 'order_service', urlSetting: 'ORDERS_DATABASE_URL' },
    usesBroker: true,
  },
  {
    name: 'payment-service',
    port: 3004,
    urlSetting: 'PAYMENT_SERVICE_URL',
    postgres: { database: 'payments', role: 'payment_service', urlSetting: 'PAYMENTS_DATABASE_URL' },
    usesBroker: true,
  },
  {
    name: 'notification-service',
    port: 3005,
    urlSetting: 'NOTIFICATION_SERVICE_URL',
    mongo: { database: 'notifications', urlSetting: 'NOTIFICATIONS_MONGO_URL' },
    usesBroker: true,
  },
  { name: 'api-gateway', port: 8080, urlSetting: 'GATEWAY_URL', usesBroker: false },
];

/** The services' own default for METRICS_PORT, from their port on. */
export const METRICS_PORT_DISTANCE = 6_000;

/** How many copies there are: of every service, or by service, and then one of those that are not named. */
export type Replicas = number | Partial<Record<ServiceDescription['name'], number>>;

/** One process of a service: copy n listens on its port + 100 × (n − 1). */
export interface Copy {
  /** The service's, `<name>-2` for its second copy. */
  name: string;
  port: number;
  url: string;
}

export function copiesOf(service: ServiceDescription, replicas: Replicas, portOffset: number): Copy[] {
  const length = typeof replicas === 'number' ? replicas : (replicas[service.name] ?? 1);
  return Array.from({ length }, (_, index) => {
    const port = service.port + portOffset + 100 * index;
    const name = index === 0 ? service.name : `${service.name}-${index + 1}`;
    return { name, port, url: `http://127.0.0.1:${port}` };
  });
}

/** The ports that the services will listen on, and who does. */
export function platformPorts(replicas: Replicas = 1, portOffset = 0): Map<number, string> {
  const copies = services.flatMap((service) => copiesOf(service, replicas, portOffset));
  return new Map(copies.map(({ port, name }) => [port, name]));
}
