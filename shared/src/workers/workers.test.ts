// A worker takes what is due when it is told, looks by itself when nobody tells, and ends what it has begun before it stops.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as untilAllSleep } from 'node:timers/promises';
import { currentCause, setupContext } from '../telemetry/index.ts';
import { quietLogger, waitFor } from '../testing/index.ts';
import { createWorker } from './index.ts';

setupContext();
const cause = {
  correlationId: 'request-1',
  causationId: 'event-1',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
};

function createQueueWorker(options: {
  sweepIntervalMs: number;
  concurrency?: number;
  perform?: (row: { id: number }) => Promise<void>;
  /** When and how the database answers. */
  answer?: () => Promise<void>;
}) {
  const due: number[] = [];
  const done: number[] = [];
  const causes: string[] = [];
  let claims = 0;
  const worker = createWorker({
    name: 'test',
    logger: quietLogger,
    concurrency: options.concurrency ?? 2,
    sweepIntervalMs: options.sweepIntervalMs,
    async claim() {
      claims += 1;
      const id = due.shift();
      await options.answer?.();
      return id === undefined ? undefined : { id, cause };
    },
    async perform(row) {
      causes.push(currentCause().causationId ?? '');
      await options.perform?.(row);
      done.push(row.id);
    },
  });
  return { worker, due, done, causes, claims: () => claims };
}

test('worker: does what is due when it is woken, long before the sweep, as part of what caused it', async () => {
  const { worker, due, done, causes } = createQueueWorker({ sweepIntervalMs: 3_600_000 });
  await worker.start();
  due.push(1, 2, 3, 4, 5);
  worker.wake();
  await waitFor('all are done', () => done.length === 5, 2_000);
  assert.deepEqual(new Set(causes), new Set(['event-1']));
  await worker.stop();
});

test('worker: finds what nobody has told it of', async () => {
  const { worker, due, done } = createQueueWorker({ sweepIntervalMs: 20 });
  await worker.start();
  due.push(1);
  await waitFor('it is done', () => done.length === 1, 2_000);
  await worker.stop();
});

test('worker: works side by side up to its concurrency, goes on after a failure, and a stop waits for what is under way', async () => {
  let running = 0;
  let most = 0;
  const release = Promise.withResolvers<void>();
  const { worker, due, done } = createQueueWorker({
    sweepIntervalMs: 20,
    concurrency: 3,
    async perform({ id }) {
      running += 1;
      most = Math.max(most, running);
      try {
        if (id === 1) throw new Error('no');
        await release.promise;
      } finally {
        running -= 1;
      }
    },
  });
  due.push(1, 2, 3, 4, 5);
  await worker.start();
  worker.wake();
  await waitFor('three are under way', () => running === 3, 2_000);
  let isStopped = false;
  const stopped = worker.stop().then(() => {
    isStopped = true;
  });
  assert.equal(isStopped, false);
  release.resolve();
  await stopped;
  assert.equal(most, 3);
  assert.deepEqual(done.toSorted(), [2, 3, 4]);
  assert.deepEqual(due, [5], 'nothing is begun after the stop');
});

test('worker: who is woken for a row looks once more, and the others sleep on', async () => {
  const { worker, due, done, claims } = createQueueWorker({ sweepIntervalMs: 3_600_000, concurrency: 4 });
  await worker.start();
  for (let id = 1; id <= 10; id += 1) {
    await untilAllSleep();
    due.push(id);
    worker.wake();
    await waitFor('it is done', () => done.length === id, 2_000);
    await waitFor('it has looked once more', () => claims() >= 4 + 2 * id, 2_000);
  }
  assert.equal(claims(), 4 + 2 * 10);
  await worker.stop();
});

test('worker: what takes long holds up nothing that came after it, although nobody was woken for that', async () => {
  const release = Promise.withResolvers<void>();
  const { worker, due, done } = createQueueWorker({
    sweepIntervalMs: 20,
    perform: ({ id }) => (id === 1 ? release.promise : Promise.resolve()),
  });
  await worker.start();
  due.push(1, 2);
  worker.wake();
  await waitFor('the second is done', () => done.includes(2), 2_000);
  release.resolve();
  await worker.stop();
  assert.deepEqual(done, [2, 1]);
});

test('worker: a wake that comes while it looks is not lost', async () => {
  const answer = Promise.withResolvers<void>();
  const { worker, due, done } = createQueueWorker({
    sweepIntervalMs: 3_600_000,
    concurrency: 1,
    answer: () => answer.promise,
  });
  await worker.start();
  due.push(1);
  worker.wake();
  answer.resolve();
  await waitFor('it is done', () => done.length === 1, 2_000);
  await worker.stop();
});

test('worker: where the database hangs or is away, one lane at a time looks whether it is back', async () => {
  const held = Promise.withResolvers<void>();
  let answer = async () => {};
  const { worker, due, done, claims } = createQueueWorker({
    sweepIntervalMs: 5,
    concurrency: 4,
    answer: () => answer(),
  });
  /** How many have looked, many sweeps after it has become so. */
  const looksWhile = async (isSo: () => Promise<void>) => {
    await untilAllSleep();
    answer = isSo;
    const before = claims();
    await waitFor('somebody looks', () => claims() > before, 2_000);
    let ticks = 0;
    const clock = setInterval(() => {
      ticks += 1;
    }, 5);
    await waitFor('many sweeps later', () => ticks >= 20, 5_000);
    clearInterval(clock);
    return claims() - before;
  };
  await worker.start();
  assert.equal(await looksWhile(() => held.promise), 1);
  held.resolve();
  // A second look is due after a second.
  const looks = await looksWhile(() => Promise.reject(new Error('away')));
  assert.ok(looks <= 2, `${looks} looks`);
  answer = async () => {};
  due.push(1, 2, 3, 4);
  worker.wake();
  await waitFor('all are done', () => done.length === 4, 2_000);
  await worker.stop();
});
