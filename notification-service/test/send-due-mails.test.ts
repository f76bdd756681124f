// No mail is lost and none is sent twice, whatever goes away meanwhile: the mail server, the database, another copy of the service.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createTcpProxy, waitFor } from '@glasshouse/shared/testing';
import { aCustomer, createWorld, eventsAbout, type Running, registered, shipped, type World } from './support.ts';

let world: World;
/** Two copies, which share queue and database. */
let service: Running;
let other: Running;

before(async () => {
  world = await createWorld();
  [service, other] = await Promise.all([world.start(), world.start()]);
});
after(() => world.stop());
beforeEach(() => {
  world.mailServer.beforeTaking = async () => {};
});

const mailDocuments = () => world.mongo.client.db().collection('mails');

/** Resolves when all of the customers' mails are sent; fails where one was sent twice. */
async function assertSentOnce(orders: { userId: string; orderId: string }[], count: number) {
  for (const { userId } of orders) await world.sent(service, userId, count);
  for (const { orderId } of orders) {
    const ids = world.mailServer.about(orderId).map((mail) => mail.messageId);
    assert.equal(ids.length, count, ids.join(' '));
    assert.equal(new Set(ids).size, count);
  }
}

test('the mail server is down: mails stay due, and are sent once it is back', async () => {
  const orders = Array.from({ length: 15 }, () => ({ ...aCustomer(), orderId: randomUUIDv7() }));
  await world.mailServer.close();
  await world.tell(
    ...orders.flatMap(({ orderId, ...customer }) => [registered(customer), shipped(customer.userId, orderId)]),
  );
  for (const copy of [service, other])
    await waitFor('the breaker opens', async () => (await copy.call('GET', '/ready')).body.mailServer === 'down');
  const { status } = await service.call('GET', '/ready');
  assert.equal(status, 200, 'a mail server that is down keeps nobody from reading');
  await waitFor('all mails are due', async () => {
    const userIds = orders.map((order) => order.userId);
    return (await mailDocuments().countDocuments({ userId: { $in: userIds }, status: 'due' })) === orders.length;
  });
  await world.mailServer.open();
  await assertSentOnce(orders, 1);
});

test('two copies: each mail is sent once, also one that takes its time', async () => {
  const orders = Array.from({ length: 10 }, () => ({ ...aCustomer(), orderId: randomUUIDv7() }));
  const [slow] = orders;
  world.mailServer.beforeTaking = async (mail) => {
    if (mail.messageId?.startsWith(`<${slow?.orderId}`)) await delay(3_000);
  };
  await world.tell(...orders.map(({ orderId: _orderId, ...customer }) => registered(customer)));
  await world.tell(...orders.flatMap(({ userId, orderId }) => Object.values(eventsAbout(userId, orderId))));
  await assertSentOnce(orders, 5);
});

test('address and mails at the same moment: none waits for ever', async () => {
  const orders = Array.from({ length: 30 }, () => ({ ...aCustomer(), orderId: randomUUIDv7() }));
  await Promise.all(
    orders.flatMap(({ orderId, ...customer }) => [
      world.tell(shipped(customer.userId, orderId)),
      world.tell(registered(customer)),
      world.tell(eventsAbout(customer.userId, orderId).cancelled),
    ]),
  );
  await assertSentOnce(orders, 2);
});

test('a recipient is refused for good: the mail stays due, is left alone for long, and holds up nobody', async () => {
  const gone = { ...aCustomer(), orderId: randomUUIDv7() };
  const busy = { ...aCustomer(), orderId: randomUUIDv7() };
  const fine = { ...aCustomer(), orderId: randomUUIDv7() };
  world.mailServer.refusals.set(gone.email, 550).set(busy.email, 450);
  for (const { orderId, ...customer } of [gone, busy, fine])
    await world.tell(registered(customer), shipped(customer.userId, orderId));
  await assertSentOnce([fine], 1);
  const refused = await waitFor('the mail was refused', async () => {
    const found = await mailDocuments().findOne({ userId: gone.userId, attempts: 1 });
    return found ?? undefined;
  });
  assert.equal(refused.status, 'due');
  assert.equal(refused.leaseToken, null);
  assert.ok(refused.nextAttemptAt.getTime() > Date.now() + 600_000);
  const [shown] = await world.listed(service, gone.userId);
  assert.deepEqual([shown?.status, shown?.to], ['due', gone.email]);

  await waitFor('the other one was put off', async () => {
    const found = await mailDocuments().findOne({ userId: busy.userId, attempts: { $gte: 1 } });
    return found !== null && found.nextAttemptAt.getTime() < Date.now() + 30_000;
  });
  world.mailServer.refusals.clear();
  await assertSentOnce([busy], 1);
  assert.equal((await service.call('GET', '/ready')).body.mailServer, 'up');
  // What somebody does who has mended the mailbox.
  await mailDocuments().updateOne({ userId: gone.userId }, { $set: { nextAttemptAt: new Date() } });
  await assertSentOnce([gone], 1);
});

test('the database goes away when the mail server takes a mail: it is recorded later, not sent again', async () => {
  const order = { ...aCustomer(), orderId: randomUUIDv7() };
  const { orderId, ...customer } = order;
  const direct = new URL(world.mongo.url);
  direct.search = '?directConnection=true';
  const proxy = await createTcpProxy(direct.href);
  const copy = await world.start({ MONGO_URL: proxy.url });
  await Promise.all([service.stop(), other.stop()]);
  world.mailServer.beforeTaking = async () => proxy.cut();
  await world.tell(registered(customer), shipped(customer.userId, orderId));
  await waitFor('the mail is taken', () => world.mailServer.about(orderId).length === 1);
  await waitFor('the copy is not ready', async () => (await copy.call('GET', '/ready')).status === 503);
  assert.equal((await copy.call('GET', '/health')).status, 200);
  const { status, body } = await copy.call('GET', '/v1/notifications', { token: world.keys.token(customer.userId) });
  assert.deepEqual([status, body.code], [503, 'database.unavailable']);
  // Its lease ends meanwhile: others may take it, and look a second time.
  const takenBy = await mailDocuments().findOneAndUpdate(
    { userId: customer.userId },
    { $set: { leaseUntil: new Date(0) } },
  );
  [service, other] = await Promise.all([world.start(), world.start()]);
  const isTaken = async () => {
    const found = await mailDocuments().findOne({ userId: customer.userId });
    return found?.leaseToken !== takenBy?.leaseToken;
  };
  // Two seconds later that one looks whether the first has recorded it.
  await waitFor('another copy has the mail', isTaken, 60_000, 20);
  proxy.restore();
  await assertSentOnce([order], 1);
  await Promise.all([copy.stop(), service.stop(), other.stop()]);
  await assert.rejects(fetch(`${copy.url}/health`));
  assert.equal(world.mailServer.about(orderId).length, 1);
  await proxy.stop();
  [service, other] = await Promise.all([world.start(), world.start()]);
});

test('a copy is killed while it sends: another one sends the mail when the lease is over', async (t) => {
  const order = { ...aCustomer(), orderId: randomUUIDv7() };
  const { orderId, ...customer } = order;
  await Promise.all([service.stop(), other.stop()]);
  const child = spawn(process.execPath, [`${import.meta.dirname}/../src/main.ts`], {
    env: { ...process.env, ...world.settings() },
    stdio: 'ignore',
  });
  // A child that outlives a test that failed would keep this process from ending.
  t.after(() => child.kill('SIGKILL'));
  const arrived = Promise.withResolvers<void>();
  world.mailServer.beforeTaking = async () => {
    arrived.resolve();
    await once(child, 'exit');
    throw new Error('the sender is gone');
  };
  await world.tell(registered(customer), shipped(customer.userId, orderId));
  await arrived.promise;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  world.mailServer.beforeTaking = async () => {};
  assert.equal(world.mailServer.about(orderId).length, 0);
  const left = await mailDocuments().findOne({ userId: customer.userId });
  assert.ok(left?.leaseToken && left.leaseUntil.getTime() > Date.now(), 'the lease outlives its holder');
  await mailDocuments().updateOne({ userId: customer.userId }, { $set: { leaseUntil: new Date() } });
  [service, other] = await Promise.all([world.start(), world.start()]);
  await assertSentOnce([order], 1);
});
