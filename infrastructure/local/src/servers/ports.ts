// Finds free ports and says which of the wanted ones are taken.
import { randomInt } from 'node:crypto';
import { connect, createServer } from 'node:net';

// Below the range from which the kernel takes the ports of outgoing connections (Linux: 32768 and up): such a port
// could be lost between the look and the use. And above the ports that services have, whatever their offset in a test.
const LOWEST = 21_000;
const HIGHEST = 32_000;

// What was given out once is not given out again: its user may not listen yet.
const givenOut = new Set<number>();

/** Keeps ports that will be used later from being given out as free. */
export function reservePorts(ports: Iterable<number>): void {
  for (const port of ports) givenOut.add(port);
}

/** A random port that nobody listens on now. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(LOWEST, HIGHEST);
    if (givenOut.has(port)) continue;
    givenOut.add(port);
    if (await isFree(port)) return port;
  }
  throw new Error(`No free port found between ${LOWEST} and ${HIGHEST}.`);
}

/** Several different free ports. */
export async function freePorts(count: number): Promise<number[]> {
  return Promise.all(Array.from({ length: count }, freePort));
}

/**
 * Starts something on `wanted`, else on a free port: three are tried, as another program may take one between our look
 * and its use.
 */
export async function onFreePort<T>(wanted: number | undefined, start: (port: number) => Promise<T>): Promise<T> {
  if (wanted !== undefined) return start(wanted);
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    try {
      return await start(port);
    } catch (error) {
      if (attempt === 3 || (await isFree(port))) throw error;
    }
  }
}

/** Whether nobody listens on the port, on any address of this machine. */
export async function isFree(port: number): Promise<boolean> {
  // One listener may sit on a single address: what fits beside it on another one would still be in its way.
  for (const host of ['127.0.0.1', '0.0.0.0', '::']) {
    if (!(await canListen(port, host))) return false;
  }
  return true;
}

function canListen(port: number, host: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      // A machine without IPv6 cannot have anybody listening there.
      if (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT') resolve(true);
      else if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** One line that names every port of `wanted` that is taken, or undefined when all are free. */
export async function takenPortsLine(wanted: ReadonlyMap<number, string>): Promise<string | undefined> {
  const taken: string[] = [];
  for (const [port, name] of wanted) {
    if (!(await isFree(port))) taken.push(`${port} (${name})`);
  }
  if (taken.length === 0) return undefined;
  const what = taken.length === 1 ? '1 port is taken' : `${taken.length} ports are taken`;
  return `${what} by another program: ${taken.join(', ')}.`;
}

/** Whether somebody accepts connections on 127.0.0.1:`port` within a second. */
export function accepts(port: number, host = '127.0.0.1', timeoutMs = 1_000): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host, timeout: timeoutMs });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
  });
}
