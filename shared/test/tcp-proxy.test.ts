// The network that tests put between a service and its servers: whether it cuts, slows, loses and goes dead as it says.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { createTcpProxy, type TcpProxy, waitFor } from '@glasshouse/shared/testing';

let proxy: TcpProxy;
let seen: Socket[] = [];
/** Sends back whatever it gets. */
const echo = createServer({ allowHalfOpen: true }, (socket) => {
  seen.push(socket);
  socket.on('error', () => {});
  socket.pipe(socket);
});

before(async () => {
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  proxy = await createTcpProxy(`tcp://127.0.0.1:${(echo.address() as AddressInfo).port}/path`);
});
after(async () => {
  await proxy.stop();
  echo.close();
});

function open(): { socket: Socket; got(): string } {
  seen = [];
  const { hostname, port } = new URL(proxy.url);
  const socket = connect({ host: hostname, port: Number(port) });
  let text = '';
  socket.on('data', (data) => {
    text += data;
  });
  socket.on('error', () => {});
  return { socket, got: () => text };
}

test('it passes on what comes, in both directions, and the end of it', async () => {
  const { socket, got } = open();
  const large = 'x'.repeat(3_000_000);
  socket.end(large);
  await once(socket, 'close');
  assert.equal(got(), large);
});

test('delay: everything comes later, in order', async () => {
  const { socket, got } = open();
  proxy.delay(150);
  const startedAt = performance.now();
  for (const part of ['one ', 'two ', 'three']) socket.write(part);
  await waitFor('all has come back', () => got() === 'one two three');
  proxy.restore();
  assert.ok(performance.now() - startedAt >= 295, 'there and back');
  socket.destroy();
});

test('loss: what is lost comes after 200 ms or more, nothing overtakes it, nothing is missing', async () => {
  const { socket, got } = open();
  const fates = [0, 1, 1];
  proxy.lose(0.5, () => fates.shift() ?? 1);
  const startedAt = performance.now();
  socket.write('lost ');
  await waitFor('it has come back', () => got() === 'lost ');
  assert.ok(performance.now() - startedAt >= 195);
  proxy.restore();
  socket.destroy();
});

test('cut: connections end, new ones too, until it is restored', async () => {
  const { socket } = open();
  socket.write('x');
  await once(socket, 'data');
  proxy.cut();
  await once(socket, 'close');
  await once(open().socket, 'close');
  proxy.restore();
  const { socket: fresh, got } = open();
  fresh.write('back');
  await waitFor('it answers', () => got() === 'back');
  fresh.destroy();
});

test('half-open: the connections that are there say nothing any more, and are not told; new ones work', async () => {
  const { socket, got } = open();
  socket.write('alive');
  await waitFor('it answers', () => got() === 'alive');
  const [far] = seen;
  proxy.halfOpen();
  proxy.restore();
  socket.write(' and gone');
  const { socket: fresh, got: gotByFresh } = open();
  fresh.write('works');
  await waitFor('the new one answers', () => gotByFresh() === 'works');
  assert.equal(got(), 'alive');
  assert.equal(socket.readyState, 'open');
  socket.destroy();
  await once(socket, 'close');
  assert.equal(far?.destroyed, false, 'the other end does not hear of it');
  fresh.destroy();
});

test('an end overtakes nothing: who reads late gets all that was sent before it', async (t) => {
  // Of one of these, the operating system takes nearly all while nobody reads, and the rest lies in the proxy.
  const sizes = Array.from({ length: 10 }, (_, index) => (index + 1) * 768 * 1024);
  let flushed = 0;
  const server = createServer({ allowHalfOpen: true }, async (socket) => {
    socket.on('error', () => {});
    const [size] = await once(socket, 'data');
    for (let sent = 0; sent < Number(size); sent += 65_536) {
      await new Promise((done) => socket.write(Buffer.alloc(65_536), done));
      flushed += 65_536;
    }
    socket.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const toServer = await createTcpProxy(`tcp://127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.after(async () => {
    await toServer.stop();
    server.close();
  });
  const { hostname, port } = new URL(toServer.url);
  const readers = sizes.map((size) => {
    const socket = connect({ host: hostname, port: Number(port) }).on('error', () => {});
    socket.end(String(size));
    return socket;
  });
  let before = 0;
  await waitFor('all that can be sent to be sent', () => {
    const isHeldUp = flushed > 0 && flushed === before;
    before = flushed;
    return isHeldUp;
  });
  const received = await Promise.all(readers.map(async (reader) => (await buffer(reader)).length));
  assert.deepEqual(received, sizes);
});
