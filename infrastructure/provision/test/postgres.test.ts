// The command against a real PostgreSQL: who may do what, before and after the migration, and when a password changes.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';

const server = process.env.TEST_POSTGRES_URL ?? '';
const suffix = randomBytes(4).toString('hex');
const database = `shop_${suffix}`;
const role = (name: string) => `${name}_${suffix}`;

const urlFor = (name: string, password: string) => {
  const url = new URL(server);
  url.username = name;
  url.password = password;
  url.pathname = database;
  return url.href;
};
const admin = new URL(server);
const urls = {
  service: urlFor(role('shop'), 'first'),
  owner: urlFor(role('shop_owner'), 'p@ss:/word'.replaceAll(/[@:/]/g, encodeURIComponent)),
  auditor: urlFor(role('auditor'), 'reads'),
};

function provision(command: string, { service = urls.service } = {}): void {
  const bare = new URL(server);
  bare.password = '';
  execFileSync(process.execPath, ['src/main.ts', command], {
    cwd: join(import.meta.dirname, '..'),
    env: {
      PATH: process.env.PATH,
      ADMIN_DATABASE_URL: bare.href,
      ADMIN_PASSWORD: decodeURIComponent(admin.password),
      DATABASE_URL: service,
      MIGRATION_DATABASE_URL: urls.owner,
      AUDIT_DATABASE_URL: urls.auditor,
    },
  });
}

async function query(url: string, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return await client.query(sql);
  } finally {
    await client.end();
  }
}
const refused = (url: string, sql: string) => assert.rejects(query(url, sql), { code: '42501' });

before(async () => {
  provision('postgres');
  await query(urls.owner, 'create table schema_migrations (name text); create table orders (id int)');
  provision('postgres-rights');
});
after(async () => {
  await query(server, `drop database ${database} with (force)`);
  await query(server, `drop role ${role('shop')}, ${role('shop_owner')}, ${role('auditor')}`);
});

test('a service works with rows and makes no tables; the ledger of migrations is not its own', async () => {
  await query(urls.service, 'insert into orders values (1); update orders set id = 2; delete from orders');
  await refused(urls.service, 'create table more (id int)');
  await refused(urls.service, 'drop table orders');
  await refused(urls.service, "insert into schema_migrations values ('x')");
});

test('an auditor only reads', async () => {
  await query(urls.auditor, 'select * from orders');
  await refused(urls.auditor, 'insert into orders values (1)');
});

test('run again, it keeps what is there and sets a password that has changed', async () => {
  await query(urls.service, 'insert into orders values (7)');
  const changed = urlFor(role('shop'), 'second');
  provision('postgres', { service: changed });
  assert.deepEqual((await query(changed, 'select id from orders where id = 7')).rows, [{ id: 7 }]);
  await assert.rejects(query(urls.service, 'select 1'), { code: '28P01' });
  provision('postgres');
});
