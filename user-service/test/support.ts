// Starts the real service in this process, with a database and a virtual host of its own.
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { createClient, createTestBroker, createTestPostgres, type Reply } from '@glasshouse/shared/testing';
import { loadConfig } from '../src/config.ts';
import { createUserService } from '../src/service.ts';

export const migrations = `${import.meta.dirname}/../migrations`;

/** Passwords cheap enough for tests that are not about them. */
const cheapPasswords = { ARGON2_MEMORY_KIB: '64', ARGON2_PASSES: '1' };

export const testSettings = (databaseUrl: string, rabbitmqUrl: string): NodeJS.ProcessEnv => ({
  ...cheapPasswords,
  NODE_ENV: 'test',
  LOG_LEVEL: 'error',
  PORT: '0',
  DATABASE_URL: databaseUrl,
  RABBITMQ_URL: rabbitmqUrl,
  KEY_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
});

/** One more copy of the service. */
export async function startCopy(settings: NodeJS.ProcessEnv) {
  const { service, http, logger } = createUserService(loadConfig(settings));
  try {
    await service.start();
  } catch (error) {
    await service.stop();
    throw error;
  }
  const url = `http://127.0.0.1:${http.port()}`;
  return { url, call: createClient(url), logger, stop: service.stop };
}

/** Runs one of the service's processes until it ends by itself. */
export async function runProcess(file: `${string}.ts`, env: NodeJS.ProcessEnv, ...args: string[]) {
  const child = spawn(process.execPath, [`${import.meta.dirname}/../src/${file}`, ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [code, stdout, stderr] = await Promise.all([
    new Promise((resolve) => child.on('exit', resolve)),
    text(child.stdout),
    text(child.stderr),
  ]);
  return { code, stdout, stderr };
}

export async function startUserService(overrides: NodeJS.ProcessEnv = {}) {
  const [db, broker] = await Promise.all([createTestPostgres(migrations), createTestBroker('user-service')]);
  const settings = { ...testSettings(db.url, broker.url), ...overrides };
  const copy = await startCopy(settings);
  return {
    ...copy,
    db,
    broker,
    settings,
    async stop() {
      await copy.stop();
      await Promise.all([db.drop(), broker.drop()]);
    },
  };
}

export type TestService = Awaited<ReturnType<typeof startUserService>>;

let count = 0;
/** Registers somebody new. */
export async function registerSomebody(call: TestService['call']) {
  count += 1;
  const credentials = { email: `user-${count}@example.com`, password: 'correct horse' };
  const { body } = await call('POST', '/v1/auth/register', { body: { ...credentials, name: 'Somebody' } });
  return { ...credentials, id: body.id as string };
}

export const logIn = (call: TestService['call'], { email, password }: { email: string; password: string }) =>
  call('POST', '/v1/auth/login', { body: { email, password } });

/** Registers somebody new and logs them in. */
export async function somebodyLoggedIn(call: TestService['call']) {
  const somebody = await registerSomebody(call);
  return { ...somebody, token: (await logIn(call, somebody)).body.accessToken as string };
}

/** Somebody new with the role, which nobody gets over HTTP. */
export async function anAdmin({ call, db }: TestService) {
  const somebody = await registerSomebody(call);
  await db.pool.query("update users set roles = '{customer,admin}' where id = $1", [somebody.id]);
  return { ...somebody, token: (await logIn(call, somebody)).body.accessToken as string };
}

export const refresh = (call: TestService['call'], refreshToken: unknown) =>
  call('POST', '/v1/auth/refresh', { body: { refreshToken } });

export const logOut = (call: TestService['call'], refreshToken: unknown) =>
  call('POST', '/v1/auth/logout', { body: { refreshToken } });

/** The part of a problem that a client goes by. */
export const problemOf = ({ status, body }: Reply) => ({ status, code: body.code });
