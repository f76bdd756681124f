// Every event that a customer hears of becomes one mail, whatever order events come in and however often.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
  type CloudEvent,
  orderCancelled,
  orderConfirmed,
  orderDelivered,
  orderShipped,
  paymentRefunded,
  userRegistered,
  userUpdated,
} from '@glasshouse/shared/contracts';
import { testEvent, waitFor } from '@glasshouse/shared/testing';
import { type RunningService, setUp, type TestSetup } from './support.ts';

const QUEUE = 'notification-service.events';
const usd = (amount: number) => ({ amount, currency: 'USD' });

let setup: TestSetup;
let service: RunningService;

before(async () => {
  setup = await setUp();
  // One message at a time, so that events are handled in the order in which a test sends them.
  service = await setup.start({ CONSUMER_PREFETCH: '1' });
});
after(() => setup.stop());

const newCustomer = () => {
  const userId = randomUUIDv7();
  return { userId, email: `${userId}@example.com`, name: 'Ann Smith', version: 1 };
};

const eventsOf = (userId: string, orderId: string) => ({
  confirmed: testEvent(orderConfirmed, {
    orderId,
    userId,
    items: [
      { productId: randomUUIDv7(), quantity: 2, unitPrice: usd(1999) },
      { productId: randomUUIDv7(), quantity: 1, unitPrice: usd(123_456) },
    ],
    total: usd(127_454),
  }),
  cancelled: testEvent(orderCancelled, { orderId, userId, cancelReason: 'customer' }),
  shipped: testEvent(orderShipped, { orderId, userId }),
  delivered: testEvent(orderDelivered, { orderId, userId }),
  refunded: testEvent(paymentRefunded, {
    orderId,
    userId,
    paymentId: randomUUIDv7(),
    refundId: randomUUIDv7(),
    amount: usd(127_454),
    cause: 'cancel',
  }),
});

const listed = async (userId: string) => {
  const { body } = await service.call('GET', '/v1/notifications?limit=100', { token: setup.keys.token(userId) });
  return body.items as { occasion: string; status: string; to: string; orderId: string; sentAt?: string }[];
};

/** All that was published so far has been handled (the queue is first in, first out, one at a time), and what was due is sent. */
const untilQuiet = async () => {
  const last = testEvent(userUpdated, { ...newCustomer(), version: 2 });
  await setup.broker.publish(last);
  const database = setup.mongo.client.db();
  await waitFor('the service has nothing to do', async () => {
    const handled = await database.collection('inbox').countDocuments({ _id: last.id as never });
    return handled === 1 && (await database.collection('mails').countDocuments({ status: 'due' })) === 0;
  });
};

const untilSent = (userId: string, count: number) =>
  waitFor(`${count} mails are sent`, async () => {
    const mails = await listed(userId);
    return mails.length === count && mails.every((mail) => mail.status === 'sent') && mails;
  });

const publishAll = async (events: readonly CloudEvent[]) => {
  for (const event of events) await setup.broker.publish(event);
};

test('writeMail: on each occasion, sends a mail that says what happened and when', async () => {
  const customer = newCustomer();
  const orderId = randomUUIDv7();
  const events = eventsOf(customer.userId, orderId);
  await publishAll([testEvent(userRegistered, customer), ...Object.values(events)]);
  await untilSent(customer.userId, 5);

  const says: Record<keyof typeof events, RegExp[]> = {
    confirmed: [/2 × \$19\.99 = \$39\.98/, /1 × \$1,234\.56/, /Total: \$1,274\.54/],
    cancelled: [/You asked us to/],
    shipped: [/on its way/],
    delivered: [/has been delivered/],
    refunded: [/\$1,274\.54 back to you/],
  };
  for (const [name, event] of Object.entries(events)) {
    const refundId = event.type === 'payment.refunded' ? `.${event.data.refundId}` : '';
    const messageId = `<${orderId}.${event.type}${refundId}@glasshouse.example>`;
    const mails = setup.sink.mails.filter((mail) => mail.messageId === messageId);
    assert.equal(mails.length, 1, messageId);
    const [mail] = mails;
    assert.ok(mail);
    assert.equal(mail.from?.address, 'orders@glasshouse.example');
    assert.deepEqual(
      mail.to?.map(({ address, name: who }) => [address, who]),
      [[customer.email, customer.name]],
    );
    assert.match(mail.subject ?? '', new RegExp(orderId));
    assert.equal(mail.date, new Date(Math.floor(Date.parse(event.time) / 1000) * 1000).toISOString());
    for (const pattern of [
      /^Hello Ann Smith,/,
      new RegExp(orderId),
      /Time: \w+ \d+, \d{4} at/,
      ...says[name as keyof typeof events],
    ])
      assert.match(mail.text ?? '', pattern);
  }
});

test('writeMail: the mail is shown as sent, by the shape of the contract', async () => {
  const customer = newCustomer();
  const orderId = randomUUIDv7();
  await publishAll([testEvent(userRegistered, customer), eventsOf(customer.userId, orderId).shipped]);
  const [mail] = await untilSent(customer.userId, 1);
  assert.ok(mail);
  const { id, createdAt, sentAt, ...rest } = mail as Record<string, unknown>;
  assert.match(String(id), /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  assert.ok(Date.parse(String(sentAt)) >= Date.parse(String(createdAt)));
  assert.deepEqual(rest, {
    orderId,
    occasion: 'order.shipped',
    channel: 'email',
    to: customer.email,
    subject: `Your order ${orderId} is on its way`,
    status: 'sent',
  });
});

test('writeMail: when an event comes again, or the same fact as another event, sends no second mail', async () => {
  const customer = newCustomer();
  const orderId = randomUUIDv7();
  const events = Object.values(eventsOf(customer.userId, orderId));
  const registered = testEvent(userRegistered, customer);
  await publishAll([registered, registered, ...events, ...events]);
  await publishAll(events.map((event) => ({ ...event, id: randomUUIDv7() })));
  await untilSent(customer.userId, 5);
  await untilQuiet();
  assert.equal(setup.sink.about(orderId).length, 5);
  assert.equal((await listed(customer.userId)).length, 5);
});

test('writeMail: when an order is refunded in parts, sends a mail for each part', async () => {
  const customer = newCustomer();
  const orderId = randomUUIDv7();
  const parts = [eventsOf(customer.userId, orderId).refunded, eventsOf(customer.userId, orderId).refunded];
  await publishAll([testEvent(userRegistered, customer), ...parts, ...parts]);
  await untilSent(customer.userId, 2);
  await untilQuiet();
  assert.equal(new Set(setup.sink.about(orderId).map((mail) => mail.messageId)).size, 2);
  assert.equal(setup.sink.about(orderId).length, 2);
});

test('writeMail: when the address is not known yet, the mail waits for it and is sent then', async () => {
  const customer = newCustomer();
  const orderId = randomUUIDv7();
  await publishAll([eventsOf(customer.userId, orderId).confirmed]);
  await waitFor('a mail waits', async () => {
    const mails = await listed(customer.userId);
    return mails.length === 1 && mails[0]?.status === 'waiting' && mails[0].to === '' && !('sentAt' in mails[0]);
  });
  assert.equal(setup.sink.about(orderId).length, 0);
  await publishAll([testEvent(userRegistered, customer)]);
  const [mail] = await untilSent(customer.userId, 1);
  assert.equal(mail?.to, customer.email);
});

test('updateAddressBook: when versions come in any order, the latest wins', async () => {
  const customer = newCustomer();
  const orderId = randomUUIDv7();
  const moved = { ...customer, email: `new-${customer.email}`, version: 3 };
  await publishAll([
    testEvent(userUpdated, moved),
    testEvent(userUpdated, { ...customer, version: 2 }),
    testEvent(userRegistered, customer),
    eventsOf(customer.userId, orderId).shipped,
  ]);
  const [mail] = await untilSent(customer.userId, 1);
  assert.equal(mail?.to, moved.email);
});

test('updateAddressBook: when the address changes, later mails go to the new one', async () => {
  const customer = newCustomer();
  const events = eventsOf(customer.userId, randomUUIDv7());
  const moved = { ...customer, email: `new-${customer.email}`, version: 2 };
  await publishAll([testEvent(userRegistered, customer), events.confirmed]);
  await untilSent(customer.userId, 1);
  await publishAll([testEvent(userUpdated, moved), events.shipped]);
  const mails = await untilSent(customer.userId, 2);
  assert.deepEqual(
    mails.map(({ occasion, to }) => [occasion, to]),
    [
      ['order.shipped', moved.email],
      ['order.confirmed', customer.email],
    ],
  );
});

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, index) => permutations(items.toSpliced(index, 1)).map((rest) => [item, ...rest]));
}

test('in every order of arrival, each event twice, ends with the same three mails', async () => {
  const runs = permutations(['registered', 'confirmed', 'cancelled', 'refunded'] as const).map((order) => {
    const customer = newCustomer();
    const orderId = randomUUIDv7();
    const events = { ...eventsOf(customer.userId, orderId), registered: testEvent(userRegistered, customer) };
    return { customer, orderId, order: order.map((name) => events[name]) };
  });
  assert.equal(runs.length, 24);
  for (const { order } of runs) await publishAll(order.flatMap((event) => [event, event]));
  for (const { customer } of runs) await untilSent(customer.userId, 3);
  await untilQuiet();
  for (const { orderId, order } of runs) {
    const arrived = setup.sink.about(orderId).map((mail) => mail.messageId?.split('.')[2]?.split('@')[0]);
    assert.deepEqual(
      arrived.sort(),
      ['cancelled', 'confirmed', 'refunded'],
      order.map((event) => event.type).join(' '),
    );
  }
});

test('writeMail: when a name has line breaks, adds no header', async () => {
  const customer = { ...newCustomer(), name: 'Eve\r\nBcc: victim@example.com\r\n\r\nBody' };
  const orderId = randomUUIDv7();
  await publishAll([testEvent(userRegistered, customer), eventsOf(customer.userId, orderId).shipped]);
  await untilSent(customer.userId, 1);
  const [mail] = setup.sink.about(orderId);
  assert.ok(mail);
  assert.deepEqual(
    mail.to?.map((to) => to.address),
    [customer.email],
  );
  assert.ok(!mail.headers.some((header) => header.key === 'bcc'));
  assert.match(mail.text ?? '', /^Hello Eve Bcc: victim@example\.com Body,\n/);
});

test('a message that is no event of ours is parked, and the next one is handled', async () => {
  const { userId } = newCustomer();
  const event = testEvent(orderShipped, { orderId: randomUUIDv7(), userId });
  const { userId: _userId, ...incomplete } = event.data;
  for (const content of ['no JSON', '{}', JSON.stringify({ ...event, data: incomplete })])
    await setup.broker.sendToQueue(QUEUE, Buffer.from(content));
  await publishAll([event]);
  await waitFor('a mail waits', async () => (await listed(userId)).length === 1);
  for (let parked = 1; parked <= 3; parked += 1)
    await waitFor('a dead letter', () => setup.broker.take(`${QUEUE}.dead`));
});

test('writeMail: the mail remembers the trace and the request that it comes from', async () => {
  const { userId } = newCustomer();
  const event = testEvent(orderShipped, { orderId: randomUUIDv7(), userId });
  await publishAll([event]);
  const mail = await waitFor('the mail is there', async () => {
    const found = await setup.mongo.client.db().collection('mails').findOne({ userId });
    return found ?? undefined;
  });
  assert.equal(mail.cause.correlationId, event.correlationid);
  assert.equal(mail.cause.causationId, event.id);
  assert.match(mail.cause.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
});
