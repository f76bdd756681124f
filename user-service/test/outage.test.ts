// What becomes of the service while its database is away.
import assert from 'node:assert/strict';
import { createServer, connect as openSocket, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import { createTestBroker, createTestPostgres, freePort, waitFor } from '@glasshouse/shared/testing';
import { logIn, migrations, problemOf, registerSomebody, startCopy, testSettings } from './support.ts';

/** A door to `target` that can be shut. */
async function createDoor(target: URL) {
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  const port = await freePort();
  const open = () =>
    new Promise<void>((resolve, reject) => {
      server = createServer((inner) => {
        const outer = openSocket(Number(target.port), target.hostname);
        for (const socket of [inner, outer]) {
          sockets.add(socket);
          socket.on('error', () => {});
          socket.on('close', () => {
            sockets.delete(socket);
            inner.destroy();
            outer.destroy();
          });
        }
        inner.pipe(outer).pipe(inner);
      });
      server.once('error', reject).listen(port, '127.0.0.1', resolve);
    });
  const shut = () =>
    new Promise<void>((resolve) => {
      server?.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  await open();
  const url = new URL(target);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  return { url: url.href, open, shut };
}

test('service: started before its database, becomes ready when it is there, and is not while it is gone', async () => {
  const [db, broker] = await Promise.all([createTestPostgres(migrations), createTestBroker('user-service')]);
  const door = await createDoor(new URL(db.url));
  await door.shut();
  let copy: Awaited<ReturnType<typeof startCopy>> | undefined;
  try {
    copy = await startCopy(testSettings(door.url, broker.url));
    const { call } = copy;
    const isReady = async () => (await call('GET', '/ready')).status === 200;
    assert.equal(await isReady(), false);
    assert.equal((await call('GET', '/health')).status, 200);
    assert.deepEqual(problemOf(await call('GET', '/.well-known/jwks.json')), {
      status: 503,
      code: 'database.unavailable',
    });

    await door.open();
    await waitFor('readiness', isReady);
    const somebody = await registerSomebody(call);
    assert.equal((await logIn(call, somebody)).status, 200);
    assert.equal((await call('GET', '/.well-known/jwks.json')).body.keys.length, 1);

    await door.shut();
    const { status, body } = await call('GET', '/ready');
    assert.equal(status, 503);
    assert.equal(body.database, 'down');
    const reply = await logIn(call, somebody);
    assert.deepEqual(problemOf(reply), { status: 503, code: 'database.unavailable' });
    assert.equal(reply.headers.get('retry-after'), '2');

    await door.open();
    await waitFor('readiness', isReady);
    assert.equal((await logIn(call, somebody)).status, 200);
  } finally {
    await copy?.stop();
    await door.shut();
    await Promise.all([db.drop(), broker.drop()]);
  }
});
