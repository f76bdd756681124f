// Every event that a customer hears of becomes one mail, whatever order events come in and however often.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { userUpdated } from '@glasshouse/shared/contracts';
import { testEvent, waitFor } from '@glasshouse/shared/testing';
import {
  aCustomer,
  createWorld,
  eventsAbout,
  permutations,
  type Running,
  registered,
  shipped,
  type World,
} from './support.ts';

const QUEUE = 'notification-service.events';

let world: World;
let service: Running;

before(async () => {
  world = await createWorld();
  // One message at a time, so that events are handled in the order in which a test tells them.
  service = await world.start({ CONSUMER_PREFETCH: '1' });
});
after(() => world.stop());

/** All that was told so far has been handled (the queue is first in, first out), and what was due is sent. */
async function untilQuiet() {
  const last = testEvent(userUpdated, { ...aCustomer(), version: 2 });
  await world.tell(last);
  const database = world.mongo.client.db();
  await waitFor('the service has nothing to do', async () => {
    const handled = await database.collection<{ _id: string }>('inbox').countDocuments({ _id: last.id });
    return handled === 1 && (await database.collection('mails').countDocuments({ status: 'due' })) === 0;
  });
}

test('writeMail: on each occasion, sends a mail that says what happened and when', async () => {
  const customer = aCustomer();
  const orderId = randomUUIDv7();
  const events = eventsAbout(customer.userId, orderId);
  await world.tell(registered(customer), ...Object.values(events));
  await world.sent(service, customer.userId, 5);

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
    const mails = world.mailServer.mails.filter((mail) => mail.messageId === messageId);
    assert.equal(mails.length, 1, messageId);
    const [mail] = mails;
    assert.ok(mail);
    assert.equal(mail.from?.address, 'orders@glasshouse.example');
    assert.deepEqual(
      mail.to?.map((to) => [to.address, to.name]),
      [[customer.email, customer.name]],
    );
    assert.match(mail.subject ?? '', new RegExp(orderId));
    assert.equal(Date.parse(mail.date ?? ''), Math.floor(Date.parse(event.time) / 1000) * 1000);
    const text = mail.text ?? '';
    for (const pattern of [/^Hello Ann Smith,/, new RegExp(orderId), /Time: \w+ \d+, \d{4} at/])
      assert.match(text, pattern);
    for (const pattern of says[name as keyof typeof events]) assert.match(text, pattern);
  }
});

test('writeMail: the mail is shown as sent, in the shape of the contract', async () => {
  const customer = aCustomer();
  const orderId = randomUUIDv7();
  await world.tell(registered(customer), shipped(customer.userId, orderId));
  const [mail] = await world.sent(service, customer.userId, 1);
  assert.ok(mail);
  const { id, createdAt, sentAt, ...rest } = mail;
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  assert.ok(Date.parse(sentAt ?? '') >= Date.parse(createdAt));
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
  const customer = aCustomer();
  const orderId = randomUUIDv7();
  const events = Object.values(eventsAbout(customer.userId, orderId));
  const known = registered(customer);
  await world.tell(known, known, ...events, ...events);
  await world.tell(...events.map((event) => ({ ...event, id: randomUUIDv7() })));
  await world.sent(service, customer.userId, 5);
  await untilQuiet();
  assert.equal(world.mailServer.about(orderId).length, 5);
  assert.equal((await world.listed(service, customer.userId)).length, 5);
});

test('writeMail: when an order is refunded in parts, sends a mail for each part', async () => {
  const customer = aCustomer();
  const orderId = randomUUIDv7();
  const parts = [1, 2].map(() => eventsAbout(customer.userId, orderId).refunded);
  await world.tell(registered(customer), ...parts, ...parts);
  await world.sent(service, customer.userId, 2);
  await untilQuiet();
  assert.equal(world.mailServer.about(orderId).length, 2);
  assert.equal(new Set(world.mailServer.about(orderId).map((mail) => mail.messageId)).size, 2);
});

test('writeMail: when the address is not known yet, the mail waits for it and is sent then', async () => {
  const customer = aCustomer();
  const orderId = randomUUIDv7();
  await world.tell(shipped(customer.userId, orderId));
  const [waiting] = await waitFor('a mail is there', async () => {
    const mails = await world.listed(service, customer.userId);
    return mails.length === 1 && mails;
  });
  assert.ok(waiting);
  assert.deepEqual([waiting.status, waiting.to, 'sentAt' in waiting], ['waiting', '', false]);
  assert.equal(world.mailServer.about(orderId).length, 0);
  await world.tell(registered(customer));
  const [mail] = await world.sent(service, customer.userId, 1);
  assert.equal(mail?.to, customer.email);
});

test('updateAddressBook: when versions come in any order, the latest wins', async () => {
  for (const order of permutations([1, 2, 3])) {
    const customer = aCustomer();
    await world.tell(
      ...order.map((version) =>
        version === 1
          ? registered(customer)
          : testEvent(userUpdated, { ...customer, email: `${version}-${customer.email}`, version }),
      ),
      shipped(customer.userId, randomUUIDv7()),
    );
    const [mail] = await world.sent(service, customer.userId, 1);
    assert.equal(mail?.to, `3-${customer.email}`, order.join());
  }
});

test('updateAddressBook: when the address changes, later mails go to the new one', async () => {
  const customer = aCustomer();
  const events = eventsAbout(customer.userId, randomUUIDv7());
  const email = `new-${customer.email}`;
  await world.tell(registered(customer), events.confirmed);
  await world.sent(service, customer.userId, 1);
  await world.tell(testEvent(userUpdated, { ...customer, email, version: 2 }), events.shipped);
  const mails = await world.sent(service, customer.userId, 2);
  assert.deepEqual(
    mails.map(({ occasion, to }) => [occasion, to]),
    [
      ['order.shipped', email],
      ['order.confirmed', customer.email],
    ],
  );
});

test('in every order of arrival, ends with the same three mails', async () => {
  const runs = permutations(['registered', 'confirmed', 'cancelled', 'refunded'] as const).map((order) => {
    const customer = aCustomer();
    const orderId = randomUUIDv7();
    const events = { ...eventsAbout(customer.userId, orderId), registered: registered(customer) };
    return { customer, orderId, order, events: order.map((name) => events[name]) };
  });
  assert.equal(runs.length, 24);
  for (const { events } of runs) await world.tell(...events);
  await untilQuiet();
  for (const { customer, orderId, order } of runs) {
    await world.sent(service, customer.userId, 3);
    const occasions = world.mailServer.about(orderId).map((mail) => mail.messageId?.split(/[.@]/)[2]);
    assert.deepEqual(occasions.sort(), ['cancelled', 'confirmed', 'refunded'], order.join());
  }
});

test('writeMail: when a name has line breaks, adds no header', async () => {
  const customer = { ...aCustomer(), name: 'Eve\r\nBcc: victim@example.com\r\n\r\nBody' };
  const orderId = randomUUIDv7();
  await world.tell(registered(customer), shipped(customer.userId, orderId));
  await world.sent(service, customer.userId, 1);
  const [mail] = world.mailServer.about(orderId);
  assert.ok(mail);
  assert.deepEqual(
    mail.to?.map((to) => to.address),
    [customer.email],
  );
  assert.ok(!mail.headers.some((header) => header.key === 'bcc'));
  assert.match(mail.text ?? '', /^Hello Eve Bcc: victim@example\.com Body,\n/);
});

test('a message that is no event of ours is parked, and the next one is handled', async () => {
  const { userId } = aCustomer();
  const event = shipped(userId, randomUUIDv7());
  const { userId: _userId, ...incomplete } = event.data;
  for (const content of ['no JSON', '{}', JSON.stringify({ ...event, data: incomplete })])
    await world.broker.sendToQueue(QUEUE, Buffer.from(content));
  await world.tell(event);
  await waitFor('a mail waits', async () => (await world.listed(service, userId)).length === 1);
  for (const _parked of [1, 2, 3]) await waitFor('a dead letter', () => world.broker.take(`${QUEUE}.dead`));
});

test('writeMail: the mail remembers the trace and the request that it comes from', async () => {
  const { userId } = aCustomer();
  const event = shipped(userId, randomUUIDv7());
  await world.tell(event);
  const { cause } = await waitFor('the mail is there', async () => {
    const found = await world.mongo.client.db().collection('mails').findOne({ userId });
    return found ?? undefined;
  });
  assert.deepEqual([cause.correlationId, cause.causationId], [event.correlationid, event.id]);
  assert.match(cause.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
});
