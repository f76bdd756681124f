// Free ports are free, taken ones are named.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { describe, it } from 'node:test';
import { accepts, freePort, freePorts, isFree, onFreePort, takenPortsLine } from './ports.ts';

async function listenOn(port: number, host: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  server.listen({ port, host });
  await once(server, 'listening');
  return server;
}

describe('ports', () => {
  for (const host of ['127.0.0.1', '0.0.0.0'])
    it(`isFree: when somebody listens on ${host}, false`, async () => {
      const port = await freePort();
      assert.equal(await isFree(port), true);
      const server = await listenOn(port, host);
      assert.equal(await isFree(port), false);
      assert.equal(await accepts(port), true);
      server.close();
      await once(server, 'close');
      assert.equal(await isFree(port), true);
      assert.equal(await accepts(port), false);
    });

  it('takenPortsLine: names all that are taken, with their number, in one line', async () => {
    const [one = 0, two = 0, three = 0] = await freePorts(3);
    const wanted = new Map([
      [one, 'api-gateway'],
      [two, 'user-service'],
      [three, 'order-service'],
    ]);
    assert.equal(await takenPortsLine(wanted), undefined);
    const servers = [await listenOn(one, '127.0.0.1'), await listenOn(three, '127.0.0.1')];
    assert.equal(
      await takenPortsLine(wanted),
      `2 ports are taken by another program: ${one} (api-gateway), ${three} (order-service).`,
    );
    servers.forEach((server) => void server.close());
  });

  it('freePorts: never gives the same port twice', async () => {
    const ports = [...(await freePorts(200)), ...(await freePorts(200)), ...(await freePorts(200))];
    assert.equal(new Set(ports).size, 600);
  });

  it('onFreePort: when the port is lost before its use, takes another', async () => {
    const tried: number[] = [];
    const servers: Server[] = [];
    const used = await onFreePort(undefined, async (port) => {
      tried.push(port);
      servers.push(await listenOn(port, '127.0.0.1'));
      if (tried.length === 1) throw new Error('address in use');
      return port;
    });
    assert.equal(tried.length, 2);
    assert.equal(used, tried[1]);
    servers.forEach((server) => void server.close());
  });

  it('onFreePort: when it was not for the port, does not try again', async () => {
    let tries = 0;
    const start = async () => {
      tries += 1;
      throw new Error('no such program');
    };
    await assert.rejects(onFreePort(undefined, start), /no such program/);
    assert.equal(tries, 1);
  });
});
