// The real servers: they start, keep what they were given over stop and crash, do not collide, and leave nothing running.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, describe, it } from 'node:test';
import { connect } from 'amqplib';
import { MongoClient } from 'mongodb';
import pg from 'pg';
import { readMailbox } from '../src/mailbox.ts';
import { createProcessTable } from '../src/processes.ts';
import {
  accepts,
  freePort,
  managementRequest,
  startMongo,
  startPostgres,
  startRabbitMq,
  startSmtpSink,
} from '../src/servers/index.ts';
import { ELSEWHERE_FILE, removePostgres } from '../src/servers/postgres.ts';

const dir = mkdtempSync(join(tmpdir(), 'servers-'));
// The packages that `npm test` and `npm start` have fetched, or will find fetched.
const cacheDir = resolve(import.meta.dirname, '../../../.local');
const log = () => {};
const table = createProcessTable(join(dir, 'state.json'));

after(async () => {
  const left = table.running().map(({ name }) => name);
  await table.stopAll();
  rmSync(dir, { recursive: true });
  assert.deepEqual(left, []);
});

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
    return rows.flat();
  } finally {
    await client.end();
  }
}

describe('startPostgres', () => {
  it('keeps committed rows over a stop and a crash; two at once do not collide', async () => {
    const options = (name: string) => ({ dir: join(dir, name), log, processes: table, fsync: false });
    const [first, second] = await Promise.all([startPostgres(options('pg-1')), startPostgres(options('pg-2'))]);
    assert.notEqual(first.port, second.port);
    await query(first.url, 'create table kept (value) as select 1');
    await assert.rejects(query(second.url, 'select value from kept'), /does not exist/);
    await first.stop();
    assert.equal(await accepts(first.port), false);

    const again = await startPostgres({ ...options('pg-1'), port: first.port });
    assert.equal(again.url, first.url);
    await query(again.url, 'insert into kept values (2)');
    await again.process.kill();
    const afterCrash = await startPostgres(options('pg-1'));
    assert.deepEqual(await query(afterCrash.url, 'select value from kept order by value'), [1, 2]);
    assert.equal(await accepts(afterCrash.port, '127.0.0.2'), false);
    await Promise.all([afterCrash.stop(), second.stop()]);
  });

  it('refuses a wrong password; its settings are the ones that the services count on', async () => {
    const server = await startPostgres({ dir: join(dir, 'pg-3'), log, processes: table });
    const wrong = new URL(server.url);
    wrong.password = 'wrong';
    await assert.rejects(query(wrong.href, 'select 1'), /password authentication failed/);
    assert.deepEqual(
      await query(
        server.url,
        `select setting from pg_settings where name in ('fsync', 'listen_addresses', 'max_connections', 'unix_socket_directories', 'server_version_num', 'server_encoding') order by name`,
      ).then((values) => values.map((value) => String(value).replace(/^18\d+$/, '18'))),
      ['on', '127.0.0.1', '300', 'UTF8', '18', ''],
    );
    assert.equal(statSync(join(dir, 'pg-3', 'superuser-password')).mode & 0o777, 0o600);
    await server.stop();
  });

  it('when the port is taken, says so', async () => {
    const first = await startPostgres({ dir: join(dir, 'pg-1'), log, processes: table, fsync: false });
    await assert.rejects(
      startPostgres({ dir: join(dir, 'pg-2'), port: first.port, log, processes: table, fsync: false }),
      /postgres ended while starting:[\s\S]*Address already in use/,
    );
    await first.stop();
  });

  it('as root without user namespaces: runs as nobody from a folder of its own, which is dropped with the data', {
    skip: process.getuid?.() === 0 ? false : 'only root needs it',
  }, async () => {
    const options = { dir: join(dir, 'pg-nobody'), log, processes: table, fsync: false, user: 'nobody' as const };
    const server = await startPostgres(options);
    const user = execFileSync('stat', ['-c', '%U', `/proc/${server.pid}`], { encoding: 'utf8' }).trim();
    assert.equal(user, 'nobody');
    assert.deepEqual(await query(server.url, 'select 1'), [1]);
    const elsewhere = readFileSync(join(options.dir, ELSEWHERE_FILE), 'utf8');
    assert.equal(statSync(elsewhere).mode & 0o777, 0o700);
    await server.stop();
    removePostgres(options.dir);
    assert.equal(existsSync(elsewhere), false);
    assert.equal(existsSync(options.dir), false);
  });
});

describe('startRabbitMq', () => {
  const queue = {
    name: 'kept',
    vhost: '/',
    durable: true,
    auto_delete: false,
    arguments: { 'x-queue-type': 'quorum' },
  };
  const options = (name: string) => ({
    dir: join(dir, name),
    cacheDir: join(cacheDir, 'rabbitmq-dist'),
    definitions: { vhosts: [{ name: '/' }], queues: [queue] },
    log,
    processes: table,
  });

  /** Takes the message off the queue and gives it back. */
  async function messageIn(url: string): Promise<string | undefined> {
    const connection = await connect(url);
    const message = await (await connection.createChannel()).get('kept');
    await connection.close();
    return message === false ? undefined : message.content.toString();
  }

  it('keeps confirmed messages over a crash; two at once do not collide; a stop leaves nothing running', async () => {
    const [first, second] = await Promise.all([startRabbitMq(options('rmq-1')), startRabbitMq(options('rmq-2'))]);
    const connection = await connect(first.url);
    const channel = await connection.createConfirmChannel();
    channel.sendToQueue('kept', Buffer.from('hello'), { persistent: true });
    await channel.waitForConfirms();
    await connection.close();
    assert.equal(await messageIn(second.url), undefined);
    await Promise.all([first.kill(), second.kill()]);
    assert.equal(await accepts(second.ports.epmd), false);

    const again = await startRabbitMq({ ...options('rmq-1'), ports: first.ports });
    assert.equal(again.url, first.url);
    assert.equal(await messageIn(again.url), 'hello');
    for (const port of Object.values(again.ports)) assert.equal(await accepts(port, '127.0.0.2'), false);
    const users = (await (await managementRequest(again.managementUrl, '/api/users')).json()) as { name: string }[];
    assert.deepEqual(
      users.map(({ name }) => name),
      ['admin'],
    );
    await assert.rejects(connect(again.url.replace(/admin:[^@]+/, 'guest:guest')), /ACCESS_REFUSED/);
    await again.stop();
    for (const port of Object.values(again.ports)) assert.equal(await accepts(port), false);
  });

  it('with a memory alarm: a connection that publishes is blocked, its message taken when the alarm is over', async () => {
    const server = await startRabbitMq(options('rmq-3'));
    const connection = await connect(server.url);
    const channel = await connection.createConfirmChannel();
    await server.setMemoryAlarm(true);
    const blocked = once(connection, 'blocked');
    channel.sendToQueue('kept', Buffer.from('waits'), { persistent: true });
    const confirmed = channel.waitForConfirms();
    assert.deepEqual(await blocked, ['low on memory']);
    assert.equal(await messageIn(server.url), undefined);
    await Promise.all([once(connection, 'unblocked'), server.setMemoryAlarm(false)]);
    await confirmed;
    assert.equal(await messageIn(server.url), 'waits');
    await connection.close();
    await server.kill();
  });

  it('when it cannot be had, one line says what to do', async () => {
    const script = `
      import { startRabbitMq } from ${JSON.stringify(join(import.meta.dirname, '../src/servers/rabbitmq.ts'))};
      await startRabbitMq({ dir: ${JSON.stringify(join(dir, 'rmq-none'))}, log() {} }).catch((error) => console.log(error.message));`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      env: { PATH: '/nowhere' },
    });
    assert.match(
      stdout,
      /^RabbitMQ is missing: install it so that "rabbitmq-server" is on the PATH .*RABBITMQ_URL.*\n$/,
    );
  });
});

describe('startMongo', () => {
  it('is a replica set that keeps documents over a stop and a crash, and says of which kind it is', async () => {
    const options = { dir: join(dir, 'mongo'), cacheDir: join(cacheDir, 'mongodb-binaries'), log, processes: table };
    for (const [round, end] of (['stop', 'kill', 'stop'] as const).entries()) {
      const server = await startMongo(options);
      assert.match(server.kind, /^(mongod|mongod \(downloaded\)|stand-in)$/);
      const client = new MongoClient(server.url);
      const documents = client.db('test').collection<{ round: number }>('documents');
      assert.equal(await documents.countDocuments(), round);
      await documents.insertOne({ round }, { writeConcern: { w: 'majority', journal: true } });
      await client.close();
      await (end === 'stop' ? server.stop() : server.process.kill());
      assert.equal(await accepts(server.port), false);
    }
  });
});

describe('startSmtpSink', () => {
  /** Says the lines of an SMTP dialogue, each after the answer to the one before; returns the codes of the answers. */
  function talk(port: number, lines: string[]): Promise<string[]> {
    return new Promise((done, failed) => {
      const socket = connectTcp(port, '127.0.0.1');
      const codes: string[] = [];
      const rest = [...lines];
      socket.setEncoding('utf8').on('error', failed);
      socket.on('data', (text: string) => {
        for (const [, code = ''] of text.matchAll(/^(\d{3}) .*$/gm)) {
          codes.push(code);
          const next = rest.shift();
          if (next !== undefined) socket.write(`${next}\r\n`);
        }
      });
      socket.on('end', () => done(codes));
    });
  }

  it('has a mail on the disk when it says 250, also after a crash right then', async () => {
    const port = await freePort();
    const options = { dir: join(dir, 'mail'), port, log, processes: table };
    const sink = await startSmtpSink(options);
    const message = 'Subject: hello\r\nTo: alice@example.com\r\n\r\nText\r\n.';
    const dialogue = [
      'EHLO test',
      'MAIL FROM:<shop@example.com>',
      'RCPT TO:<alice@example.com>',
      'DATA',
      message,
      'QUIT',
    ];
    assert.deepEqual(await talk(port, dialogue), ['220', '250', '250', '250', '354', '250', '221']);
    await sink.process.kill();
    const mails = await readMailbox(options.dir);
    assert.deepEqual(
      mails.map(({ to, subject }) => [to, subject]),
      [[['alice@example.com'], 'hello']],
    );
    const again = await startSmtpSink(options);
    assert.deepEqual(await talk(port, dialogue), ['220', '250', '250', '250', '354', '250', '221']);
    await again.stop();
    assert.equal((await readMailbox(options.dir)).length, 2);
  });
});
