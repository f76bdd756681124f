// Every operation of the API document, on a running platform: who may call it, and what is refused. A new one without its row fails.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Platform } from '../infrastructure/local/src/platform.ts';
import { type Actor, calls, createWorld, doorsOf, makeCall, type Request, rows, type World } from './support/calls.ts';
import { forgeTokens, readSigningKey } from './support/forged-tokens.ts';
import { startTestPlatform } from './support/platform.ts';

let platform: Platform;
let world: World;
/** An admin's token made here, and what is not one. */
let tokens: ReturnType<typeof forgeTokens>;

before(async () => {
  platform = await startTestPlatform({ portOffset: 25_000 });
  world = await createWorld(platform);
  const { body } = await world.shop.call('POST', '/api/v1/auth/login', {
    body: { email: 'admin@example.com', password: 'admin-password' },
  });
  tokens = forgeTokens(await readSigningKey(platform), body.accessToken, body.refreshToken);
});
after(async () => {
  await platform?.stop();
});

test('every operation of the document has its row', () => {
  assert.deepEqual(Object.keys(rows).sort(), calls.map(({ operation }) => operation.operationId).sort());
});

test('a token that is signed as these are and has nothing wrong is taken', async () => {
  const { status } = await world.shop.call('GET', '/api/v1/users', { token: tokens.good });
  assert.equal(status, 200);
});

for (const call of calls) {
  const { operationId } = call.operation;
  const row = rows[operationId];
  if (row === undefined) continue;

  test(`${operationId}: who may do it, at the gateway and behind it`, async () => {
    const { actors } = world;
    // Where anyone may call, nobody looks at the token: one bad one shows it.
    const { expired } = tokens.forged;
    const strangers = { nobody: undefined, ...(call.isOpen ? { expired } : tokens.forged) };
    const callers = [
      ...Object.entries(strangers).map(([name, token]) => {
        return { name, token, actor: undefined, expected: call.isOpen ? row.owner : 401 };
      }),
      ...(['other', 'owner', 'admin'] as const).map((actor) => {
        return { name: actor, token: actors[actor].token, actor, expected: row[actor] };
      }),
    ];
    const expected: Record<string, number> = {};
    const got: Record<string, number> = {};
    for (const door of doorsOf(call, platform)) {
      let request: Request | undefined;
      for (const caller of callers) {
        request ??= await row.prepare(world);
        const { status, body } = await makeCall(door, call, request, caller);
        const place = `${caller.name} at ${door.name}`;
        expected[place] = caller.expected;
        got[place] = status;
        if (status >= 300) continue;
        request = undefined;
        const { actor } = caller as { actor?: Actor };
        if (actor !== undefined && row.shows !== undefined)
          assert.ok(row.shows(body, actor, world), `${place} sees ${JSON.stringify(body)}`);
      }
    }
    assert.deepEqual(got, expected);
  });
}
