// The tool against a real broker, as the operator: what it shows, what it moves and what it leaves as it was.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import { after, afterEach, before, describe, test } from 'node:test';
import { type CloudEvent, orderCancelled, orderShipped, type ServiceName } from '@glasshouse/shared/contracts';
import {
  brokerDefinitions,
  deadExchangeOf,
  deadQueueOf,
  EVENT_EXCHANGE,
  MAIN_KEY,
  OPERATOR,
  queueOf,
  retryExchangeOf,
  retryQueueOf,
} from '@glasshouse/shared/event-bus';
import { createTestBroker, type TestBroker, testEvent, waitFor } from '@glasshouse/shared/testing';
import { type Channel, type ChannelModel, type ConfirmChannel, connect, type GetMessage } from 'amqplib';
import { runDeadLetters, spawnDeadLetters } from './process.ts';

const ORDERS: ServiceName = 'order-service';
const MAILS: ServiceName = 'notification-service';
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const TRACEPARENT = `00-${TRACE_ID}-b7ad6b7169203331-01`;

let broker: TestBroker;
let connection: ChannelModel;
let channel: ConfirmChannel;
let env: { DEAD_LETTERS_RABBITMQ_URL: string };

/** A request to the broker's management API. */
async function manage(method: string, path: string, body?: unknown): Promise<void> {
  const { origin, username, password } = new URL(process.env.TEST_RABBITMQ_MANAGEMENT_URL ?? '');
  const response = await fetch(`${origin}/api/${path}`, {
    method,
    headers: {
      authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
      'content-type': 'application/json',
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.text()}`);
}
const vhost = () => new URL(broker.url).pathname.slice(1);

before(async () => {
  broker = await createTestBroker();
  const password = randomUUIDv7();
  const { users, permissions, topic_permissions } = brokerDefinitions({ [OPERATOR]: password }, vhost());
  await manage('POST', 'definitions', { users, permissions, topic_permissions });
  const url = new URL(broker.url);
  url.username = OPERATOR;
  url.password = password;
  env = { DEAD_LETTERS_RABBITMQ_URL: url.href };
  connection = await connect(broker.url, { noDelay: true });
  channel = await connection.createConfirmChannel();
});
after(async () => {
  await connection?.close();
  await broker?.drop();
  await manage('DELETE', `users/${OPERATOR}`);
});
afterEach(async () => {
  for (const service of [ORDERS, MAILS])
    for (const queue of [queueOf(service), deadQueueOf(service)]) await channel.purgeQueue(queue);
});

const deadLetters = (...args: string[]) => runDeadLetters(env, ...args);

const shipped = () => testEvent(orderShipped, { orderId: randomUUIDv7(), userId: randomUUIDv7() });

/** Puts a message among the dead letters as the consumer does. */
async function park(
  service: ServiceName,
  content: CloudEvent | string,
  { messageId = '', reason = 'Error: a bug' } = {},
): Promise<void> {
  const id = typeof content === 'string' ? messageId : content.id;
  const bytes = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
  channel.publish(deadExchangeOf(service), 'dead', bytes, {
    persistent: true,
    ...(id !== '' && { messageId: `${id}#6` }),
    contentType: 'application/cloudevents+json',
    ...(typeof content !== 'string' && { type: content.type }),
    headers: {
      traceparent: TRACEPARENT,
      'x-attempts': 6,
      'x-reason': reason,
      'x-failed-at': '2026-01-02T03:04:05.678Z',
    },
  });
  await channel.waitForConfirms();
}

/** Removes all messages of a queue, in their order. */
async function empty(queue: string): Promise<GetMessage[]> {
  const messages: GetMessage[] = [];
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (message === false) return messages;
    messages.push(message);
  }
}

/** Takes the first message of a queue and dies, as a process does that can't bear it. */
async function takeAndDie(queue: string): Promise<GetMessage> {
  const own = await connection.createChannel();
  const message = await waitFor('the message is there', () => own.get(queue));
  await own.close();
  return message;
}

/** Waits until the one message that was taken from the dead letters is there again: a queue takes it back a moment after its taker has gone. */
const isBack = () =>
  waitFor('it is back', async () => (await channel.checkQueue(deadQueueOf(ORDERS))).messageCount === 1);

describe('list and show', () => {
  test('nothing is parked: says so', async () => {
    assert.deepEqual(await deadLetters(), { code: 0, stdout: 'No message is parked.\n', stderr: '' });
    assert.deepEqual(JSON.parse((await deadLetters('list', '--json')).stdout), []);
  });

  test('a line for each message by service, the oldest first, and all about one', async () => {
    const first = shipped();
    const second = shipped();
    await park(ORDERS, first, { reason: 'AppError: no such order' });
    await park(ORDERS, second);
    await park(MAILS, 'not JSON', { messageId: 'poison-1', reason: 'Unreadable: not JSON' });

    const { code, stdout } = await deadLetters();
    assert.equal(code, 0);
    const lines = stdout.split('\n');
    assert.equal(lines[0], 'order-service: 2 messages');
    assert.match(
      lines[1] ?? '',
      new RegExp(`^ {2}${first.id} .*order\\.shipped .*${first.subject} .*6 attempts .*2026-01-02T03:04:05Z .*no such`),
    );
    assert.match(lines[2] ?? '', new RegExp(`^ {2}${second.id} `));
    assert.equal(lines[3], 'notification-service: 1 message');
    assert.match(lines[4] ?? '', /^ {2}poison-1 .*Unreadable: not JSON$/);
    assert.deepEqual(lines.slice(5), ['']);

    const list = JSON.parse((await deadLetters('list', '--json', '--service', MAILS)).stdout);
    assert.deepEqual(list, [
      {
        service: MAILS,
        queue: deadQueueOf(MAILS),
        id: 'poison-1',
        messageId: 'poison-1',
        attempts: 6,
        reason: 'Unreadable: not JSON',
        failedAt: '2026-01-02T03:04:05.678Z',
        traceId: TRACE_ID,
      },
    ]);

    const shown = await deadLetters('show', first.id);
    assert.equal(shown.code, 0);
    for (const part of [deadQueueOf(ORDERS), TRACE_ID, first.correlationid, first.subject])
      assert.ok(shown.stdout.includes(part), part);
    assert.ok(shown.stdout.endsWith(`${JSON.stringify(first, null, 2)}\n`));
    assert.match((await deadLetters('show', 'poison-1')).stdout, /\n\nnot JSON\n$/);
    assert.deepEqual(JSON.parse((await deadLetters('show', first.id, '--json')).stdout)[0].content, first);
  });

  test('looking changes nothing: the same messages in the same order, as they were', async () => {
    const events = Array.from({ length: 5 }, shipped);
    for (const event of events) await park(ORDERS, event);
    const looks = [
      await deadLetters('list'),
      await deadLetters('show', events[2]?.id ?? ''),
      await deadLetters('list'),
    ];
    assert.equal(looks[0]?.stdout, looks[2]?.stdout);
    const left = await empty(deadQueueOf(ORDERS));
    assert.deepEqual(
      left.map(({ content }) => JSON.parse(content.toString())),
      events,
    );
    for (const [index, { properties }] of left.entries()) {
      assert.equal(properties.messageId, `${events[index]?.id}#6`);
      // How often it was taken, in RabbitMQ 3 and 4.
      const { 'x-delivery-count': _, 'x-acquired-count': __, ...headers } = properties.headers ?? {};
      assert.deepEqual(headers, {
        traceparent: TRACEPARENT,
        'x-attempts': 6,
        'x-reason': 'Error: a bug',
        'x-failed-at': '2026-01-02T03:04:05.678Z',
      });
    }
  });

  test('looked at more often than the delivery limit allows, a message is still there', async () => {
    const event = shipped();
    await park(ORDERS, event);
    /** Takes the message and gives it back, as the tool does, which RabbitMQ counts until 4.3; exactly as often, for the limit is 1,000. */
    const takeAndGiveBack = async (times: number) => {
      const own = await connection.createChannel();
      let count = 0;
      await own.prefetch(1);
      await own.consume(deadQueueOf(ORDERS), (message) => {
        count += 1;
        if (message !== null && count < times) own.nack(message);
      });
      await waitFor('it was taken often', () => count === times, 120_000);
      await own.close();
      await isBack();
    };
    await takeAndGiveBack(600);
    assert.equal((await deadLetters('show', event.id)).code, 0);
    await takeAndGiveBack(600);
    const [letter] = JSON.parse((await deadLetters('show', event.id, '--json')).stdout);
    assert.deepEqual(letter.content, event);
    assert.deepEqual([letter.attempts, letter.reason], [6, 'Error: a bug']);
  });

  test('what the broker parked, because nobody who took it lived, is listed and redriven like the rest', async () => {
    await manage('PUT', `policies/${vhost()}/few`, {
      pattern: `^${queueOf(MAILS)}$`,
      'apply-to': 'queues',
      definition: { 'delivery-limit': 2 },
    });
    try {
      const event = shipped();
      // The policy is in force a moment later.
      await waitFor('it is parked', async () => {
        if ((await channel.checkQueue(deadQueueOf(MAILS))).messageCount > 0) return true;
        if ((await channel.checkQueue(queueOf(MAILS))).messageCount === 0) await broker.publish(event);
        await takeAndDie(queueOf(MAILS));
        return false;
      });
      await channel.purgeQueue(queueOf(MAILS));
      const { stdout } = await deadLetters();
      assert.match(stdout, new RegExp(`${event.id} .*\\? attempts .*20\\d\\d-.*delivery limit: handed out again`));
      assert.equal((await deadLetters('redrive', event.id)).code, 0);
      const [again] = await empty(queueOf(MAILS));
      assert.deepEqual(JSON.parse(again?.content.toString() ?? ''), event);
      assert.equal(again?.properties.messageId, event.id);
      assert.equal(again?.properties.headers?.['x-death'], undefined);
    } finally {
      await manage('DELETE', `policies/${vhost()}/few`);
    }
  });
});

describe('redrive', () => {
  test("one: back in its service's queue and in no other, as it was published, its attempts forgotten", async () => {
    const [event, other] = [testEvent(orderCancelled, { ...shipped().data, cancelReason: 'customer' }), shipped()];
    await park(MAILS, event);
    await park(MAILS, other);
    const { code, stdout } = await deadLetters('redrive', event.id);
    assert.deepEqual([code, stdout], [0, `${event.id} is back in notification-service.events.\n`]);
    const [copy, ...more] = await empty(queueOf(MAILS));
    assert.deepEqual(more, []);
    assert.deepEqual(copy?.content, Buffer.from(JSON.stringify(event)));
    const { messageId, contentType, type, deliveryMode, headers = {} } = copy?.properties ?? {};
    assert.deepEqual(
      { messageId, contentType, type, deliveryMode },
      { messageId: event.id, contentType: 'application/cloudevents+json', type: 'order.cancelled', deliveryMode: 2 },
    );
    assert.equal(headers.traceparent, TRACEPARENT);
    for (const name of ['x-attempts', 'x-reason', 'x-failed-at']) assert.equal(headers[name], undefined, name);
    const left = await empty(deadQueueOf(MAILS));
    assert.deepEqual(
      left.map(({ properties }) => properties.messageId),
      [`${other.id}#6`],
    );
    const marker = shipped();
    await broker.publish(marker);
    await waitFor(
      'what came before the marker was heard',
      () => broker.eventsOf(orderShipped, marker.subject).length > 0,
    );
    assert.deepEqual(broker.eventsOf(orderCancelled, event.subject), [], 'the event exchange has not seen it');
  });

  test('an event that two services have parked: both, or the one that is named', async () => {
    const event = shipped();
    await park(MAILS, event);
    await park(ORDERS, event);
    await deadLetters('redrive', event.id, '--service', MAILS);
    assert.equal((await empty(queueOf(MAILS))).length, 1);
    assert.equal((await channel.checkQueue(deadQueueOf(ORDERS))).messageCount, 1);
    await park(MAILS, event);
    const { stdout } = await deadLetters('redrive', event.id);
    assert.equal(stdout.split('\n').length, 3);
    assert.deepEqual([(await empty(queueOf(MAILS))).length, (await empty(queueOf(ORDERS))).length], [1, 1]);
  });

  test('all, of one service and of every service; what has no readable id is named and moved as well', async () => {
    await park(ORDERS, shipped());
    await park(ORDERS, 'not JSON');
    await park(MAILS, 'neither', { messageId: 'poison-2' });
    assert.equal((await deadLetters('redrive', '--all', '--service', ORDERS)).code, 0);
    assert.equal((await empty(queueOf(ORDERS))).length, 2);
    assert.equal((await deadLetters('redrive', '--all')).code, 0);
    const [poison] = await empty(queueOf(MAILS));
    assert.equal(poison?.properties.messageId, 'poison-2');
    assert.deepEqual(await deadLetters('redrive', '--all'), { code: 0, stdout: '', stderr: 'No message is parked.\n' });

    // The name of a message that says nothing of itself is the same in each look.
    await park(ORDERS, 'not JSON');
    const [{ id }] = JSON.parse((await deadLetters('list', '--json')).stdout);
    assert.equal((await deadLetters('redrive', id)).code, 0);
    assert.equal((await empty(queueOf(ORDERS)))[0]?.content.toString(), 'not JSON');
  });

  test('where the copy reaches no queue, the message stays parked', async () => {
    const event = shipped();
    await park(ORDERS, event);
    await channel.unbindQueue(queueOf(ORDERS), retryExchangeOf(ORDERS), MAIN_KEY);
    try {
      const { code, stdout, stderr } = await deadLetters('redrive', event.id);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, new RegExp(`^Can't redrive ${event.id} at .*: no queue takes main\n$`));
    } finally {
      await channel.bindQueue(queueOf(ORDERS), retryExchangeOf(ORDERS), MAIN_KEY);
    }
    assert.equal((await deadLetters('show', event.id)).code, 0);
  });

  test('killed in the middle: every message is in one of the two queues, and a second run moves the rest', async () => {
    const ids = Array.from({ length: 1_000 }, () => randomUUIDv7());
    for (const messageId of ids) await park(ORDERS, 'not JSON', { messageId });
    const child = spawnDeadLetters(env, ['redrive', '--all']);
    const ended = once(child, 'exit');
    // It tells of each that has moved.
    await Promise.race([once(child.stdout, 'data'), ended]);
    child.kill('SIGKILL');
    await ended;
    const { moved, parked } = await waitFor('the broker has taken back what was taken', async () => {
      const [main, dead] = await Promise.all(
        [queueOf(ORDERS), deadQueueOf(ORDERS)].map((one) => channel.checkQueue(one)),
      );
      const ready = { moved: main?.messageCount ?? 0, parked: dead?.messageCount ?? 0 };
      return ready.moved + ready.parked >= ids.length && ready;
    });
    assert.ok(moved > 0 && parked > 0, `it was killed in the middle: ${moved} moved, ${parked} not`);
    assert.ok(moved + parked <= ids.length + 1, 'at most one is there twice');
    assert.equal((await deadLetters('redrive', '--all')).code, 0);
    const arrived = new Set((await empty(queueOf(ORDERS))).map(({ properties }) => properties.messageId));
    assert.deepEqual([...arrived].sort(), ids.toSorted());
    assert.deepEqual(await empty(deadQueueOf(ORDERS)), []);
  });
});

describe('drop', () => {
  test('prints each message on a line that can be kept, and removes it alone', async () => {
    const [event, kept] = [shipped(), shipped()];
    await park(ORDERS, event);
    await park(ORDERS, kept);
    await park(MAILS, 'two\nlines', { messageId: 'poison-3' });
    const one = await deadLetters('drop', event.id);
    assert.equal(one.code, 0);
    assert.deepEqual(one.stdout.split('\n').slice(1), ['']);
    assert.deepEqual(JSON.parse(one.stdout).content, event);
    const all = await deadLetters('drop', '--all', '--service', MAILS);
    assert.equal(JSON.parse(all.stdout).content, 'two\nlines');
    assert.deepEqual(await empty(deadQueueOf(MAILS)), []);
    assert.deepEqual(
      (await empty(deadQueueOf(ORDERS))).map(({ content }) => JSON.parse(content.toString())),
      [kept],
    );
  });

  test('where nobody reads what it prints, nothing is dropped', async () => {
    await park(ORDERS, shipped());
    const child = spawnDeadLetters(env, ['drop', '--all', '--service', ORDERS]);
    child.stdout.destroy();
    const [code] = await once(child, 'exit');
    assert.equal(code, 2);
    await isBack();
  });
});

describe('what it says where it can do nothing', () => {
  const elsewhere = (change: (url: URL) => void) => {
    const url = new URL(env.DEAD_LETTERS_RABBITMQ_URL);
    change(url);
    return { DEAD_LETTERS_RABBITMQ_URL: url.href };
  };

  test('an id that is not parked: exit code 1', async () => {
    for (const name of ['show', 'redrive', 'drop'])
      assert.deepEqual(await deadLetters(name, 'nobody'), {
        code: 1,
        stdout: '',
        stderr: 'No message nobody is parked.\n',
      });
  });

  for (const [args, line] of [
    [['redo'], 'Unknown command redo: there are list, show, redrive and drop.'],
    [['list', 'everything'], 'Unknown argument: everything'],
    [['show'], 'show needs the id of a message.'],
    [['redrive'], 'redrive needs the id of a message, or --all: npm run dead-letters -- redrive --all'],
    [['drop', 'some-id', '--all'], 'drop needs the id of a message, or --all: npm run dead-letters -- drop --all'],
    [['drop', '--all'], 'drop --all needs --service as well.'],
    [['--yaml'], "Unknown option '--yaml'"],
  ] as const)
    test(`${args.join(' ')}: exit code 2`, async () => {
      assert.deepEqual(await deadLetters(...args), { code: 2, stdout: '', stderr: `${line}\n` });
    });

  test('a service that has no queue: exit code 2, and which have one', async () => {
    const { code, stderr } = await deadLetters('list', '--service', 'user-service');
    assert.equal(code, 2);
    assert.match(stderr, /^Unknown service user-service: queues have product-service, order-service, .*\n$/);
  });

  test('a broker that is not there, lets nobody in or has no such queue: exit code 2, one line, no secret', async () => {
    const gone = elsewhere((url) => {
      url.port = '1';
    });
    const stranger = elsewhere((url) => {
      url.password = 'top-secret';
    });
    for (const [where, line] of [
      [gone, /^Can't reach the broker at 127\.0\.0\.1:1\/\w+: connect ECONNREFUSED .*\n$/],
      [stranger, /^Can't reach the broker at .*ACCESS.REFUSED.*\n$/],
    ] as const) {
      const { code, stdout, stderr } = await runDeadLetters(where);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, line);
      assert.doesNotMatch(stderr, /top-secret/);
    }
    await channel.deleteQueue(deadQueueOf('payment-service'));
    const { code, stderr } = await deadLetters();
    assert.equal(code, 2);
    assert.match(stderr, /^Can't read payment-service\.events\.dead at .*NOT_FOUND.*\n$/);
  });
});

describe("the operator's permissions", () => {
  test('reads the dead-letter queues, writes to the retry exchanges, and may do nothing else', async () => {
    const asOperator = await connect(env.DEAD_LETTERS_RABBITMQ_URL);
    /** Whether the broker lets the operator do it; a refusal closes the channel. */
    const may = async (action: (own: Channel) => Promise<unknown>): Promise<boolean> => {
      const own = await asOperator.createConfirmChannel();
      const refused = new Promise<boolean>((resolve) => {
        own.on('error', (error) => resolve(!/ACCESS_REFUSED/.test(error.message)));
      });
      const done = action(own).then(() => true);
      const isAllowed = await Promise.race([done.catch(() => refused), refused]);
      if (isAllowed) await own.close();
      return isAllowed;
    };
    const publish = (exchange: string, key: string) =>
      may((own) => {
        own.publish(exchange, key, Buffer.from('x'));
        return (own as ConfirmChannel).waitForConfirms();
      });
    const read = (queue: string) => may((own) => own.get(queue, { noAck: true }));
    try {
      for (const service of [ORDERS, MAILS]) {
        assert.equal(await read(deadQueueOf(service)), true);
        assert.equal(await publish(retryExchangeOf(service), MAIN_KEY), true);
        assert.equal(await read(queueOf(service)), false);
        assert.equal(await read(retryQueueOf(service, 1)), false);
        assert.equal(await publish(deadExchangeOf(service), 'dead'), false);
        assert.equal(await publish('', queueOf(service)), false);
        assert.equal(await may((own) => own.bindQueue(deadQueueOf(service), EVENT_EXCHANGE, '#')), false);
        assert.equal(await may((own) => own.deleteQueue(deadQueueOf(service))), false);
      }
      assert.equal(await publish(EVENT_EXCHANGE, 'order.shipped'), false);
      assert.equal(await may((own) => own.assertQueue('its-own')), false);
    } finally {
      await asOperator.close();
    }
  });
});
