// A Redis for tests: the real one where `redis-server` is on the PATH, else a stand-in that knows the commands which the rate limits use.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort, waitFor } from '@glasshouse/shared/testing';

export interface TestRedis {
  url: string;
  kind: 'redis-server' | 'stand-in';
  start(): Promise<void>;
  stop(): Promise<void>;
  /** It takes commands and says nothing, until it is resumed. */
  hang(): void;
  resume(): void;
}

const isListening = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });

function realRedis(port: number): Omit<TestRedis, 'url' | 'kind'> {
  let child: ChildProcess | undefined;
  return {
    async start() {
      const options = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
      child = spawn('redis-server', options, { stdio: 'ignore' });
      await waitFor('Redis listens', () => isListening(port));
    },
    async stop() {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
    hang: () => child?.kill('SIGSTOP'),
    resume: () => child?.kill('SIGCONT'),
  };
}

const bulk = (text: string) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

/** Takes the commands (arrays of bulk strings, https://redis.io/docs/latest/develop/reference/protocol-spec/) that are whole; returns the rest. */
function takeCommands(text: string, onCommand: (command: string[]) => void): string {
  let rest = text;
  for (;;) {
    const [head = '', count = '0'] = /^\*(\d+)\r\n/.exec(rest) ?? [];
    if (head === '') return rest;
    let at = head.length;
    const command: string[] = [];
    for (let n = 0; n < Number(count); n += 1) {
      const [size = '', length = '0'] = /^\$(\d+)\r\n/.exec(rest.slice(at)) ?? [];
      const from = at + size.length;
      const to = from + Number(length);
      if (size === '' || rest.length < to + 2) return rest;
      command.push(rest.slice(from, to));
      at = to + 2;
    }
    rest = rest.slice(at);
    onCommand(command);
  }
}

function standIn(port: number): Omit<TestRedis, 'url' | 'kind'> {
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  let scripts = new Set<string>();
  let counts = new Map<string, { hits: number; endsAtMs: number }>();
  let isHanging = false;
  const held: (() => void)[] = [];

  const answerTo = ([name = '', ...rest]: string[]): string => {
    switch (name.toUpperCase()) {
      case 'HELLO':
        return `%1\r\n${bulk('server')}${bulk('redis')}`;
      case 'PING':
        return '+PONG\r\n';
      case 'CLIENT':
        return '+OK\r\n';
      case 'SCRIPT': {
        const sha = createHash('sha1')
          .update(rest[1] ?? '')
          .digest('hex');
        scripts.add(sha);
        return bulk(sha);
      }
      case 'EVALSHA': {
        const [sha = '', , key = '', windowMs = '0'] = rest;
        if (!scripts.has(sha)) return '-NOSCRIPT No matching script. Please use EVAL.\r\n';
        const now = Date.now();
        const known = counts.get(key);
        const count =
          known === undefined || known.endsAtMs <= now ? { hits: 0, endsAtMs: now + Number(windowMs) } : known;
        count.hits += 1;
        counts.set(key, count);
        return `*2\r\n:${count.hits}\r\n:${count.endsAtMs - now}\r\n`;
      }
      default:
        return `-ERR unknown command '${name}'\r\n`;
    }
  };
  return {
    async start() {
      scripts = new Set();
      counts = new Map();
      server = createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => sockets.delete(socket));
        let unread = '';
        socket.setEncoding('latin1').on('data', (chunk: string) => {
          unread = takeCommands(unread + chunk, (command) => {
            const say = () => void (socket.writable && socket.write(answerTo(command)));
            if (isHanging) held.push(say);
            else say();
          });
        });
      }).listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
    async stop() {
      if (server === undefined) return;
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
      server = undefined;
    },
    hang() {
      isHanging = true;
    },
    resume() {
      isHanging = false;
      for (const say of held.splice(0)) say();
    },
  };
}

/** Not started yet. */
export async function createRedis(): Promise<TestRedis> {
  const port = await freePort();
  const isReal = spawnSync('redis-server', ['--version']).status === 0;
  return {
    url: `redis://127.0.0.1:${port}`,
    kind: isReal ? 'redis-server' : 'stand-in',
    ...(isReal ? realRedis(port) : standIn(port)),
  };
}
