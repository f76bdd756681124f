// The auditor sees what it is there for: on a platform that runs, each clause of each equation is broken by hand in the databases, and that line fails.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { waitFor } from '@glasshouse/shared/testing';
import { type ConfirmChannel, connect } from 'amqplib';
import { type Document, MongoClient } from 'mongodb';
import pg from 'pg';
import { type Audit, audit, loadConfig } from '../infrastructure/auditor/src/index.ts';
import { createLook } from '../infrastructure/auditor/src/quiet.ts';
import { openPostgres } from '../infrastructure/auditor/src/read/postgres.ts';
import { openSources, type Sources } from '../infrastructure/auditor/src/read/sources.ts';
import { runAuditor } from '../infrastructure/auditor/test/process.ts';
import type { Platform } from '../infrastructure/local/src/platform.ts';
import { startSharedPlatform } from './support/platform.ts';
import { type Customer, createShop, type Shop } from './support/shop.ts';

const PRICE = 1_000;

let platform: Platform;
let shop: Shop;
let alice: Customer;
let env: Record<string, string>;
let mongo: MongoClient;
let sources: Sources;
let look: ReturnType<typeof createLook>;
let ledger: Server;
const databases = new Map<string, pg.Client>();

/** A product and three orders of 3 units of it, each with another end. */
let productId: string;
const orders = { confirmed: '', declined: '', outOfStock: '' };

before(async () => {
  platform = await startSharedPlatform({ portOffset: 3_300 });
  shop = createShop(platform.gatewayUrl);
  const [admin, customer] = await Promise.all([shop.admin(), shop.alice()]);
  alice = customer;
  mongo = await MongoClient.connect(platform.admin.mongoUrl);
  for (const name of ['users', 'orders', 'payments']) {
    const url = new URL(platform.admin.postgresUrl ?? '');
    url.pathname = name;
    const client = new pg.Client(url.href);
    await client.connect();
    databases.set(name, client);
  }
  ledger = await serveLedger(platform.auditEnv.AUDIT_LEDGER_URL ?? '');
  env = { ...platform.auditEnv, AUDIT_LEDGER_URL: `http://:key@127.0.0.1:${(ledger.address() as AddressInfo).port}` };

  sources = await openSources(loadConfig(env));
  look = createLook(sources);

  productId = await shop.createProduct(admin, 4, PRICE);
  const place = async (paymentMethod?: string) => {
    const items = [{ productId, quantity: 3 }];
    const { body } = await shop.placeOrder(alice, { items, ...(paymentMethod && { paymentMethod }) });
    return shop.finalOrder(alice, body.id);
  };
  const declined = await place('pm_card_chargeDeclined');
  await waitFor('the stock is back', async () => (await shop.stockOf(productId)) === 4);
  const confirmed = await place();
  const outOfStock = await place();
  assert.deepEqual(
    [confirmed, declined, outOfStock].map((order) => order.cancelReason ?? order.status),
    ['confirmed', 'payment_declined', 'out_of_stock'],
  );
  Object.assign(orders, { confirmed: confirmed.id, declined: declined.id, outOfStock: outOfStock.id });
});
after(async () => {
  ledger?.close();
  await sources?.close();
  await mongo?.close();
  for (const client of databases.values()) await client.end();
  await platform?.stop();
});

// ---- the ledger, as the provider tells it or otherwise

interface Charge {
  paymentIntentId: string;
  status: string;
  amount: number;
  currency: string;
  metadata: { orderId?: string };
  refunds: { refundId: string; amount: number; status: string; metadata: { refundId?: string } }[];
}

let falsify: (charges: Charge[]) => Charge[] = (charges) => charges;

/** Passes the provider's ledger on, through `falsify`. */
async function serveLedger(url: string): Promise<Server> {
  const { origin, password } = new URL(url);
  const server = createServer(async (request, response) => {
    const answer = await fetch(`${origin}${request.url}`, { headers: { authorization: `Bearer ${password}` } });
    const page = (await answer.json()) as { items: Charge[] };
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ ...page, items: falsify(page.items) }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Changes the charge that was made for an order. */
function changeCharge(orderId: string, change: (charge: Charge) => Partial<Charge>): Undo {
  falsify = (charges) =>
    charges.map((charge) => (charge.metadata.orderId === orderId ? { ...charge, ...change(charge) } : charge));
  return () => {
    falsify = (charges) => charges;
  };
}

// ---- changes by hand, and how they are undone

type Undo = () => unknown;

async function query(database: string, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = databases.get(database);
  assert.ok(client !== undefined);
  return (await client.query(text, values)).rows;
}

type Row = Record<string, unknown>;

/** `a = $1 and b = $2`, with the values counted from `from` on. */
const conditions = (where: Row, from = 1) =>
  Object.keys(where)
    .map((column, index) => `${column} = $${from + index}`)
    .join(' and ');

async function setRow(database: string, table: string, where: Row, values: Row): Promise<Undo> {
  const write = async (columns: Row) => {
    const sets = Object.keys(columns).map((column, index) => `${column} = $${index + 1}`);
    await query(database, `update ${table} set ${sets.join(', ')} where ${conditions(where, sets.length + 1)}`, [
      ...Object.values(columns),
      ...Object.values(where),
    ]);
  };
  const columns = Object.keys(values).join(', ');
  const kept = await query(
    database,
    `select ${columns} from ${table} where ${conditions(where)}`,
    Object.values(where),
  );
  assert.equal(kept.length, 1, `${table}: ${JSON.stringify(where)}`);
  await write(values);
  return () => write(kept[0] ?? {});
}

/** The first column of `row` is what it is found by again. */
async function insertRow(database: string, table: string, row: Row): Promise<Undo> {
  const places = Object.keys(row).map((_, index) => `$${index + 1}`);
  await query(
    database,
    `insert into ${table} (${Object.keys(row).join(', ')}) values (${places.join(', ')})`,
    Object.values(row),
  );
  const [key = '', value] = Object.entries(row)[0] ?? [];
  return () => query(database, `delete from ${table} where ${key} = $1`, [value]);
}

async function deleteRow(database: string, table: string, where: Row): Promise<Undo> {
  const [kept] = await query(
    database,
    `delete from ${table} where ${conditions(where)} returning to_json(${table}.*) as row`,
    Object.values(where),
  );
  assert.ok(kept !== undefined, `${table}: ${JSON.stringify(where)}`);
  return () =>
    query(
      database,
      `insert into ${table} overriding system value select * from json_populate_record(null::${table}, $1)`,
      [kept.row],
    );
}

const documents = (database: string, collection: string) =>
  mongo.db(database).collection<Document & { _id: string }>(collection);

async function setDocument(database: string, collection: string, filter: Document, values: Document): Promise<Undo> {
  const kept = await documents(database, collection).findOne(filter);
  assert.ok(kept !== null, `${collection}: ${JSON.stringify(filter)}`);
  await documents(database, collection).updateOne({ _id: kept._id }, { $set: values });
  return () => documents(database, collection).replaceOne({ _id: kept._id }, kept);
}

async function insertDocument(database: string, collection: string, document: Document): Promise<Undo> {
  const whole = { _id: randomUUID(), ...document };
  await documents(database, collection).insertOne(whole);
  return () => documents(database, collection).deleteOne({ _id: whole._id });
}

async function deleteDocument(database: string, collection: string, filter: Document): Promise<Undo> {
  const kept = await documents(database, collection).findOneAndDelete(filter);
  assert.ok(kept !== null, `${collection}: ${JSON.stringify(filter)}`);
  return () => documents(database, collection).insertOne(kept);
}

async function all(...changes: (Undo | Promise<Undo>)[]): Promise<Undo> {
  const undos = await Promise.all(changes);
  return async () => {
    for (const undo of undos) await undo();
  };
}

// ---- queues

async function withBroker<T>(work: (channel: ConfirmChannel) => Promise<T>): Promise<T> {
  const connection = await connect(platform.admin.rabbitmqUrl);
  try {
    return await work(await connection.createConfirmChannel());
  } finally {
    await connection.close();
  }
}

async function putMessage(queue: string): Promise<Undo> {
  await withBroker(async (channel) => {
    channel.sendToQueue(queue, Buffer.from('not an event'), { persistent: true });
    await channel.waitForConfirms();
  });
  return () => withBroker((channel) => channel.purgeQueue(queue));
}

// ---- the audit

const lettersOf = ({ equations }: Audit) =>
  equations
    .filter(({ ok }) => !ok)
    .map(({ id }) => id)
    .join('');
const findingsOf = ({ equations }: Audit) =>
  equations
    .flatMap(({ id, findings }) => findings.map((finding) => `(${id}) ${finding.id}: ${finding.problem}`))
    .join('\n');

/** Judges what is there now; what waits in queues is counted by the broker once a second. */
const auditNow = (letters: string) =>
  waitFor(
    `the lines that fail are "${letters}"`,
    async () => {
      const result = await audit(loadConfig(env), { waitForQuiet: false });
      assert.equal(lettersOf(result), letters, findingsOf(result));
      return result;
    },
    60_000,
  );

test('audit: when everything is as it should be, waits until all is quiet and finds nothing', async () => {
  const result = await audit(loadConfig(env));
  assert.equal(result.quiet?.reached, true);
  assert.deepEqual(findingsOf(result), '');
  assert.equal(result.ok, true);
  assert.deepEqual(result.totals, {
    orders: { confirmed: 1, cancelled: 2 },
    captured: [{ amount: 3 * PRICE, currency: 'USD' }],
    refunded: [],
    unitsSold: 3,
  });
  const checked = Object.fromEntries(result.equations.map((equation) => [equation.id, equation.checked]));
  assert.equal(checked.a, 3);
  assert.equal(checked.c, 1);
  assert.equal(checked.d, 2);
  assert.equal(checked.h, 3);
});

const far = new Date('2099-01-01');
const never = 'infinity';
const cause = { correlation_id: 'test', traceparent: 'test' };
const order = (id: string) => ({ id });
const paymentOf = (orderId: string) => ({ order_id: orderId });
const succeededRefund = (refundId: string, amount: number) => ({
  refundId: `re_${refundId}`,
  amount,
  status: 'succeeded',
  metadata: { refundId },
});

/** A refund in our books, of the confirmed order's payment. */
async function insertRefund(id: string, row: Row): Promise<Undo> {
  const [payment] = await query('payments', 'select id from payments where order_id = $1', [orders.confirmed]);
  return insertRow('payments', 'refunds', {
    id,
    payment_id: payment?.id,
    amount: 1,
    reason: 'test',
    cause: 'admin',
    status: 'succeeded',
    ...cause,
    ...row,
  });
}

/** What is broken, which lines fail then, how it is broken, and what is under way then, where that is so. */
type Break = [what: string, letters: string, how: () => Promise<Undo> | Undo, underWay?: RegExp];

const breaks: Break[] = [
  [
    'an order is pending',
    'a',
    () => setRow('orders', 'orders', order(orders.outOfStock), { status: 'pending', cancel_reason: null, pay_by: far }),
    /^order-service: 1 pending orders$/,
  ],

  [
    'a total differs from its items',
    'b',
    // The payment goes along, so that nothing else differs.
    () =>
      all(
        setRow('orders', 'orders', order(orders.outOfStock), { total_amount: 2_999 }),
        setRow('payments', 'payments', paymentOf(orders.outOfStock), { amount: 2_999 }),
      ),
  ],
  [
    "a payment's amount differs",
    'b',
    () => setRow('payments', 'payments', paymentOf(orders.declined), { amount: 3_001 }),
  ],
  [
    "a payment's currency differs",
    'b',
    () => setRow('payments', 'payments', paymentOf(orders.declined), { currency: 'EUR' }),
  ],
  ['a payment is missing', 'b', () => deleteRow('payments', 'payments', paymentOf(orders.outOfStock))],
  [
    "a reservation's items differ",
    'b',
    () => setDocument('products', 'reservations', { _id: orders.declined }, { items: [{ productId, quantity: 2 }] }),
  ],
  ['a reservation is missing', 'b', () => deleteDocument('products', 'reservations', { _id: orders.outOfStock })],

  [
    'a confirmed order was not paid',
    'c',
    () =>
      all(
        setRow('payments', 'payments', paymentOf(orders.confirmed), { status: 'failed' }),
        changeCharge(orders.confirmed, () => ({ status: 'requires_payment_method' })),
      ),
  ],
  [
    'a confirmed order has its items released, and a cancelled one has them sold',
    'cd',
    () =>
      all(
        setDocument('products', 'reservations', { _id: orders.confirmed }, { state: 'released' }),
        setDocument('products', 'reservations', { _id: orders.declined }, { state: 'sold' }),
      ),
  ],
  [
    'a confirmed order was refunded more than it was paid',
    'c',
    () => {
      const id = randomUUID();
      return all(
        insertRefund(id, { amount: 3_001 }),
        changeCharge(orders.confirmed, () => ({ refunds: [succeededRefund(id, 3_001)] })),
      );
    },
  ],
  [
    'a confirmed order was refunded for a cancellation',
    'c',
    () => {
      const id = randomUUID();
      return all(
        insertRefund(id, { cause: 'cancel' }),
        changeCharge(orders.confirmed, () => ({ refunds: [succeededRefund(id, 1)] })),
      );
    },
  ],

  [
    'a cancelled order was paid and not refunded',
    'd',
    () =>
      all(
        setRow('payments', 'payments', paymentOf(orders.declined), { status: 'captured' }),
        changeCharge(orders.declined, () => ({ status: 'succeeded' })),
      ),
  ],
  [
    'a cancelled order holds items',
    'df',
    () =>
      all(
        setDocument('products', 'reservations', { _id: orders.declined }, { state: 'held' }),
        setDocument('products', 'products', { _id: productId }, { held: 3, available: -2 }),
      ),
  ],
  [
    'a cancelled order has its items sold',
    'df',
    () => setDocument('products', 'reservations', { _id: orders.outOfStock }, { state: 'sold' }),
  ],

  [
    'a charge is due',
    'e',
    () => setRow('payments', 'payments', paymentOf(orders.outOfStock), { status: 'due' }),
    /^payment-service: 1 charges due or under way$/,
  ],
  [
    'a charge is under way',
    'e',
    () => setRow('payments', 'payments', paymentOf(orders.declined), { status: 'charging', lease_until: never }),
    /^payment-service: 1 charges due or under way$/,
  ],
  [
    'a refund is due',
    'e',
    () => insertRefund(randomUUID(), { status: 'due', lease_until: never }),
    /^payment-service: 1 refunds due$/,
  ],
  [
    'the provider does not know a charge',
    'e',
    () => changeCharge(orders.confirmed, () => ({ paymentIntentId: 'pi_another', status: 'canceled' })),
  ],
  ['the provider took another amount', 'e', () => changeCharge(orders.confirmed, () => ({ amount: 1 }))],
  ['the provider took another currency', 'e', () => changeCharge(orders.confirmed, () => ({ currency: 'eur' }))],
  [
    'the provider took money that no payment tells of',
    'e',
    () => changeCharge(orders.declined, () => ({ status: 'succeeded' })),
  ],
  [
    'the provider has not finished a charge',
    'e',
    () => changeCharge(orders.declined, () => ({ status: 'processing' })),
  ],
  ['the provider does not know a refund', 'e', () => insertRefund(randomUUID(), {})],
  [
    'the provider gave another amount back',
    'e',
    () => {
      const id = randomUUID();
      return all(
        insertRefund(id, {}),
        changeCharge(orders.confirmed, () => ({ refunds: [succeededRefund(id, 2)] })),
      );
    },
  ],
  [
    'the provider gave money back that no refund tells of',
    'e',
    () => changeCharge(orders.confirmed, () => ({ refunds: [succeededRefund(randomUUID(), 1)] })),
  ],

  [
    'more units were received than there are',
    'f',
    () => insertDocument('products', 'stock_journal', { productId, delta: 1, reason: 'test', at: new Date() }),
  ],
  [
    'fewer units are there than were received',
    'f',
    () => setDocument('products', 'products', { _id: productId }, { available: 0 }),
  ],
  [
    'units are held without a reservation',
    'f',
    () => setDocument('products', 'products', { _id: productId }, { held: 1, available: 0 }),
  ],
  [
    'fewer units are sold than were ordered',
    'f',
    () => setDocument('products', 'products', { _id: productId }, { sold: 2, available: 2 }),
  ],
  [
    'less than nothing is available',
    'f',
    () =>
      all(
        setDocument('products', 'products', { _id: productId }, { available: -1 }),
        insertDocument('products', 'stock_journal', { productId, delta: -2, reason: 'test', at: new Date() }),
      ),
  ],

  [
    'a payment has no order',
    'g',
    () => insertRow('payments', 'payments', { id: randomUUID(), order_id: randomUUID(), status: 'void', ...cause }),
  ],
  [
    'a reservation has no order',
    'g',
    () => insertDocument('products', 'reservations', { state: 'cancelled', items: [], counter: 1, touchedAt: far }),
  ],
  [
    'an order was placed without a key',
    'g',
    () => deleteRow('orders', 'idempotency_keys', { resource_id: orders.confirmed }),
  ],
  [
    'two keys lead to one order',
    'g',
    async () => {
      const [row] = await query('orders', 'select key from idempotency_keys where resource_id = $1', [
        orders.confirmed,
      ]);
      return setRow('orders', 'idempotency_keys', { key: row?.key }, { resource_id: orders.declined });
    },
  ],

  ['a mail is missing', 'h', () => deleteDocument('notifications', 'mails', { orderId: orders.confirmed })],
  [
    'a mail is not sent',
    'h',
    () => setDocument('notifications', 'mails', { orderId: orders.declined }, { status: 'due', nextAttemptAt: far }),
    /^notification-service: 1 mails due or waiting$/,
  ],
  [
    'a mail waits for its address',
    'h',
    () => setDocument('notifications', 'mails', { orderId: orders.declined }, { status: 'waiting' }),
    /^notification-service: 1 mails due or waiting$/,
  ],
  [
    'a mail is about what never happened',
    'h',
    () =>
      insertDocument('notifications', 'mails', {
        orderId: orders.confirmed,
        occasion: 'order.shipped',
        refundId: null,
        status: 'sent',
      }),
  ],
  [
    'there is no mail about a refund',
    'h',
    () =>
      insertRow('orders', 'timeline', {
        event_id: randomUUID(),
        order_id: orders.confirmed,
        type: 'payment.refunded',
        source: 'payment-service',
        time: new Date(),
        trace_id: 'test',
        summary: 'test',
      }),
  ],

  ...(
    [
      ['name', { name: 'Another' }],
      ['price', { price: 1 }],
      ['currency', { currency: 'EUR' }],
      ['version', { version: 7 }],
      ['deletion', { deleted: true }],
    ] as const
  ).map(
    ([field, values]) =>
      [
        `the price list has another ${field}`,
        'i',
        () => setRow('orders', 'price_list', { product_id: productId }, values),
      ] satisfies Break,
  ),
  ['the price list lacks a product', 'i', () => deleteRow('orders', 'price_list', { product_id: productId })],
  [
    'the price list has a product that does not exist',
    'i',
    () => insertRow('orders', 'price_list', { product_id: randomUUID(), version: 1, deleted: true }),
  ],
  ...(
    [
      ['e-mail address', { email: 'another@example.com' }],
      ['name', { name: 'Another' }],
      ['version', { version: 7 }],
    ] as const
  ).map(
    ([field, values]) =>
      [
        `the address book has another ${field}`,
        'i',
        () => setDocument('notifications', 'address_book', { email: 'alice@example.com' }, values),
      ] satisfies Break,
  ),
  [
    'the address book lacks a customer',
    'i',
    () => deleteDocument('notifications', 'address_book', { email: 'alice@example.com' }),
  ],
  [
    'the address book has somebody who does not exist',
    'i',
    () => insertDocument('notifications', 'address_book', { email: 'g@example.com', name: 'Ghost', version: 1 }),
  ],

  ...['users', 'orders', 'payments'].map(
    (database) =>
      [
        `an event waits in the outbox of ${database}`,
        'j',
        () => insertRow(database, 'outbox', { id: randomUUID(), event: {}, traceparent: 'test', claimed_until: never }),
        /^\w+-service: 1 events to be published$/,
      ] satisfies Break,
  ),
  ...['products', 'notifications'].map(
    (database) =>
      [
        `an event waits in the outbox of ${database}`,
        'j',
        () => insertDocument(database, 'outbox', { event: {}, traceparent: 'test', claimedUntil: far }),
        /^\w+-service: 1 events to be published$/,
      ] satisfies Break,
  ),
  ['a dead letter waits', 'j', () => putMessage('order-service.events.dead')],
  [
    'a message waits to be tried again',
    'j',
    () => putMessage('payment-service.events.retry.60s'),
    /^payment-service\.events\.retry\.60s: 1 messages$/,
  ],
  [
    'a message waits in a main queue',
    'j',
    async () => {
      const consumer = platform.processes.get('notification-service');
      await consumer?.stop();
      const purge = await putMessage('notification-service.events');
      return async () => {
        await purge();
        await consumer?.start();
      };
    },
    /^notification-service\.events: 1 messages$/,
  ],
];

for (const [what, letters, how, underWay] of breaks) {
  test(`audit: when ${what}, (${[...letters].join('), (')}) fails and nothing else`, async () => {
    const undo = await how();
    try {
      await auditNow(letters);
      const seen = (await look()).underWay.join('\n');
      if (underWay === undefined) assert.equal(seen, '');
      else assert.match(seen, underWay);
    } finally {
      await undo();
    }
    await auditNow('');
  });
}

test('npm run audit: prints a line for each equation and says by its exit code whether all hold', async () => {
  const clean = await runAuditor(env);
  assert.equal(clean.code, 0, clean.stdout + clean.stderr);
  assert.equal(clean.stdout.match(/^ok {5}\([a-j]\) /gm)?.length, 10);
  assert.match(clean.stdout, /Orders: .*1 confirmed.*Paid: 30\.00 USD\. Given back: none\. Units sold: 3\./);

  const undo = await insertDocument('products', 'reservations', { _id: 'no-order', state: 'cancelled', items: [] });
  try {
    const broken = await runAuditor(env, ['--json']);
    assert.equal(broken.code, 1, broken.stdout + broken.stderr);
    const { ok, equations } = JSON.parse(broken.stdout);
    assert.equal(ok, false);
    assert.deepEqual(
      equations
        .filter((equation: { ok: boolean }) => !equation.ok)
        .map((equation: { findings: unknown }) => equation.findings),
      [[{ id: 'reservation no-order', problem: 'its order does not exist' }]],
    );
  } finally {
    await undo();
  }
});

test('the auditor can write nowhere, whatever its role may do', async () => {
  const url = new URL(platform.admin.postgresUrl ?? '');
  url.pathname = 'orders';
  const source = await openPostgres('order-service', url.href);
  try {
    await assert.rejects(source.rows('delete from orders'), /read-only transaction/);
  } finally {
    await source.close();
  }
});

test('audit: after all of this, everything is as it was', async () => {
  const result = await audit(loadConfig(platform.auditEnv));
  assert.equal(findingsOf(result), '');
  assert.equal(result.quiet?.reached, true);
});
