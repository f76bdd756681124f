// What a piece of work belongs to, across awaits, side by side, and from a stored cause.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { currentCause, currentIds, runWork, setupContext, traceIdOf } from './index.ts';

setupContext();
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

test('runWork: goes on in the given trace with a span of its own, across awaits', async () => {
  await runWork({ correlationId: 'request-1', causationId: 'event-1', traceparent }, { name: 'work' }, async () => {
    await setImmediate();
    const cause = currentCause();
    assert.equal(traceIdOf(cause.traceparent), '0af7651916cd43dd8448eb211c80319c');
    assert.doesNotMatch(cause.traceparent, /b7ad6b7169203331/);
    assert.match(cause.traceparent, /-01$/, 'the sampling decision is kept');
    assert.deepEqual([cause.correlationId, cause.causationId], ['request-1', 'event-1']);
    assert.deepEqual(currentIds().requestId, 'request-1');
  });
});

test('runWork: a missing or malformed traceparent starts a trace; work side by side does not mix', async () => {
  const traces = await Promise.all(
    [undefined, 'nonsense', '00-00000000000000000000000000000000-b7ad6b7169203331-01'].map((broken) =>
      runWork({ correlationId: 'x', traceparent: broken }, { name: 'work' }, async () => {
        await setImmediate();
        return traceIdOf(currentCause().traceparent);
      }),
    ),
  );
  assert.equal(new Set(traces).size, 3);
  for (const trace of traces) assert.match(trace, /^(?!0{32})[0-9a-f]{32}$/);
});

test('currentCause: outside any work it makes one up', () => {
  assert.deepEqual(currentIds(), {});
  assert.match(currentCause().traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
});
