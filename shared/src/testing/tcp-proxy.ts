// Stands between a service and a server, so that the network between them can be cut, slow, lossy or dead without either end having failed.
import { type AddressInfo, createServer, connect as openSocket, type Socket } from 'node:net';

export interface TcpProxy {
  /** The target's URL with the proxy's host and port in it. */
  url: string;
  /** Ends every connection, and each new one at once, until `restore`. */
  cut(): void;
  /** Everything arrives this much later, in milliseconds, until `restore`. */
  delay(ms: number): void;
  /**
   * Loses packets as TCP does: what is lost is sent again after 200 ms, after twice as long each time it is lost again, and what comes behind it
   * waits (RFC 6298). Until `restore`.
   * @param share how much is lost, from 0 to 1
   * @param random what decides it
   */
  lose(share: number, random?: () => number): void;
  /** The connections that are open now go dead: what is sent on them arrives nowhere, and neither end is told, not even after `restore`. New ones work. */
  halfOpen(): void;
  restore(): void;
  stop(): Promise<void>;
}

const RETRANSMISSION_MS = 200;
/** How much may lie here before the sender is told to wait. */
const BUFFER_BYTES = 1024 * 1024;

/** @param target any URL with a host and a port */
export async function createTcpProxy(target: string): Promise<TcpProxy> {
  const url = new URL(target);
  const to = { host: url.hostname, port: Number(url.port), noDelay: true };
  const sockets = new Set<Socket>();
  const dead = new WeakSet<Socket>();
  let isCut = false;
  /** How late a packet comes now, in milliseconds. */
  let latency = () => 0;

  const cut = () => {
    isCut = true;
    for (const socket of sockets) socket.destroy();
  };

  const forward = (from: Socket, into: Socket) => {
    /** In order of arrival; the undefined one is the end. */
    const waiting: { at: number; data: Buffer | undefined }[] = [];
    let waitingBytes = 0;
    let timer: NodeJS.Timeout | undefined;
    const sendOn = (data: Buffer | undefined) => {
      if (into.destroyed) return;
      if (data === undefined) into.end();
      else into.write(data);
    };
    const release = () => {
      clearTimeout(timer);
      timer = undefined;
      const now = performance.now();
      while (waiting[0] !== undefined && waiting[0].at <= now) {
        const data = waiting.shift()?.data;
        waitingBytes -= data?.length ?? 0;
        sendOn(data);
      }
      if (waiting[0] !== undefined) timer = setTimeout(release, waiting[0].at - now);
      if (from.isPaused() && waitingBytes + into.writableLength < BUFFER_BYTES) from.resume();
    };
    const pass = (data?: Buffer) => {
      if (dead.has(from)) return;
      const late = data === undefined ? 0 : latency();
      if (late === 0 && waiting.length === 0) sendOn(data);
      else {
        waiting.push({ at: Math.max(performance.now() + late, waiting.at(-1)?.at ?? 0), data });
        waitingBytes += data?.length ?? 0;
        timer ??= setTimeout(release, late);
      }
      if (waitingBytes + into.writableLength > BUFFER_BYTES) from.pause();
    };
    sockets.add(from);
    from.on('data', pass);
    from.on('end', () => pass());
    from.on('error', () => {});
    into.on('drain', release);
    from.on('close', () => {
      sockets.delete(from);
      // What is on its way still arrives; whoever is cut off, or dead, does not hear of it.
      if (dead.has(from)) return;
      if (isCut) into.destroy();
      else if (waiting.length === 0) into.destroySoon();
      else pass();
    });
    into.on('close', () => clearTimeout(timer));
  };

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (incoming) => {
    if (isCut) return incoming.destroy();
    const outgoing = openSocket({ ...to, allowHalfOpen: true });
    forward(incoming, outgoing);
    forward(outgoing, incoming);
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);

  return {
    url: url.href,
    cut,
    delay(ms) {
      latency = () => ms;
    },
    lose(share, random = Math.random) {
      latency = () => {
        let late = 0;
        for (let pause = RETRANSMISSION_MS; random() < share; pause *= 2) late += pause;
        return late;
      };
    },
    halfOpen() {
      for (const socket of sockets) dead.add(socket);
    },
    restore() {
      isCut = false;
      latency = () => 0;
    },
    async stop() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
