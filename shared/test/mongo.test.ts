// The MongoDB side of the chassis against a real connection.
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import type { Logger } from '@glasshouse/shared/logger';
import { createDatabase } from '@glasshouse/shared/mongo';
import { createTcpProxy, createTestMongo, quietLogger, waitFor } from '@glasshouse/shared/testing';

test('database: a command that meets a socket which is just closing fails, and the driver finds its server again', {
  timeout: 30_000,
}, async () => {
  const mongo = await createTestMongo();
  const database = createDatabase({ url: mongo.url, service: 'product-service', logger: quietLogger });
  const sockets = new Set<Socket>();
  const collect = (message: unknown) => sockets.add((message as { socket: Socket }).socket);
  try {
    subscribe('net.client.socket', collect);
    assert.equal(await database.isUp(), true);
    unsubscribe('net.client.socket', collect);
    assert.ok(sockets.size > 0);

    for (const socket of sockets) socket.destroy();
    // Destroyed, but `close` comes only when this function has let go.
    const answers = [database.isUp(), database.isUp()];
    assert.deepEqual(await Promise.all(answers), [false, false]);
    await waitFor('the database is found again', () => database.isUp());
  } finally {
    await database.stop();
    await mongo.drop();
  }
});

test('database: where it can’t be reached when the service starts, it is found as soon as it is there', {
  timeout: 60_000,
}, async () => {
  const mongo = await createTestMongo();
  const proxy = await createTcpProxy(mongo.url);
  const warnings: string[] = [];
  const logger = { ...quietLogger, warn: (message: string) => warnings.push(message) } as unknown as Logger;
  const database = createDatabase({ url: proxy.url, service: 'product-service', logger });
  try {
    proxy.cut();
    await database.start();
    // Whoever asks meanwhile must not make it worse.
    assert.equal(await database.isUp(), false);
    await waitFor('an attempt has failed', () => warnings.includes('the database could not be reached yet'));
    assert.equal(await database.isUp(), false);

    proxy.restore();
    await waitFor('the database is found', () => database.isUp());
  } finally {
    await database.stop();
    await proxy.stop();
    await mongo.drop();
  }
});
