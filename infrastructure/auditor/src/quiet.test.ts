// What counts as quiet: nothing under way at two looks far enough apart, and nothing that has happened between them.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Look, messagesUnderWay, waitUntilQuiet } from './quiet.ts';

const PAUSE_MS = 10;
const far = () => performance.now() + 60_000;

/** Gives the looks in turn, the last one for ever; remembers how many were taken and when. */
function looks(...script: Omit<Look, 'begunAt' | 'endedAt'>[]) {
  const taken: number[] = [];
  const take = async (): Promise<Look> => {
    const at = performance.now();
    const look = script[Math.min(taken.length, script.length - 1)] ?? { underWay: [], handled: 0 };
    taken.push(at);
    return { begunAt: at, endedAt: performance.now(), ...look };
  };
  return { take, taken };
}

const quiet = { underWay: [], handled: 7 };
const busy = { underWay: ['order-service: 1 pending orders'], handled: 7 };

it('waitUntilQuiet: when nothing is under way, looks twice', async () => {
  const { take, taken } = looks(quiet);
  const { reached } = await waitUntilQuiet(take, far(), 0, PAUSE_MS);
  assert.equal(reached, true);
  assert.equal(taken.length, 2);
});

it('waitUntilQuiet: when something is under way between two quiet looks, begins anew', async () => {
  const { take, taken } = looks(quiet, busy, quiet);
  await waitUntilQuiet(take, far(), 0, PAUSE_MS);
  assert.equal(taken.length, 4);
});

it('waitUntilQuiet: when a message was handled between two quiet looks, begins anew', async () => {
  const { take, taken } = looks(quiet, { underWay: [], handled: 8 });
  await waitUntilQuiet(take, far(), 0, PAUSE_MS);
  assert.equal(taken.length, 3);
});

it("waitUntilQuiet: when the broker's counts may be old, looks for longer than that", async () => {
  const { take, taken } = looks(quiet);
  await waitUntilQuiet(take, far(), 100, PAUSE_MS);
  const [first = 0] = taken;
  assert.ok((taken.at(-1) ?? 0) - first > 100, `${taken.length} looks`);
});

it('waitUntilQuiet: when time is up, gives up and says what is under way', async () => {
  const { take } = looks(busy);
  const { reached, look } = await waitUntilQuiet(take, performance.now() + 50, 0, PAUSE_MS);
  assert.equal(reached, false);
  assert.deepEqual(look.underWay, busy.underWay);
});

it('messagesUnderWay: counts main and retry queues, not dead ones, and takes an unknown length for a message', () => {
  const names = ['order-service.events', 'order-service.events.retry.5s', 'order-service.events.dead'];
  assert.equal(messagesUnderWay(names.map((name) => ({ name, messages: 0 }))).length, 0);
  assert.deepEqual(messagesUnderWay(names.map((name) => ({ name, messages: 2 }))), [
    'order-service.events: 2 messages',
    'order-service.events.retry.5s: 2 messages',
  ]);
  assert.equal(messagesUnderWay([{ name: 'order-service.events', messages: undefined }]).length, 1);
});
