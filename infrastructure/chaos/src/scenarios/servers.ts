// Servers that go down: databases, the broker, the mail server; and a disk that is full.
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Scenario, Scene } from '../scenario.ts';

const AWAY_MS = { least: 1_000, most: 6_000 };
const FULL_MS = 15_000;
const ALARM_MS = 20_000;
const MAIL_AWAY_MS = 20_000;

/** Takes a server away as `end` says, and gives it back after a while. */
async function takeAway({ world, random, fault, tell }: Scene, name: string, how: string, end: () => Promise<void>) {
  fault(`${name} ${how}`);
  await end();
  await delay(random.between(AWAY_MS.least, AWAY_MS.most));
  tell(`${name} is started`);
  await world.process(name).start();
  await delay(random.between(2_000, 5_000));
}

const postgres: Scenario = {
  name: 'postgres-crash',
  says: 'PostgreSQL, with the databases of three services, is shut down at once (SIGQUIT), recovers, and is back after some seconds.',
  async round(scene) {
    const server = scene.world.process('postgres');
    const pid = server.pid();
    if (pid === undefined) throw new Error('PostgreSQL is not running');
    await takeAway(scene, 'postgres', 'shuts down at once', async () => {
      process.kill(pid, 'SIGQUIT');
      while (server.pid() !== undefined) await delay(20);
      await server.stop();
    });
    expectEnd(scene, 'postgres');
  },
};

/** What we have ended has not ended by itself. */
function expectEnd({ world: { endedByItself } }: Scene, name: string): void {
  const index = endedByItself.findIndex((line) => line.startsWith(`${name} `));
  if (index >= 0) endedByItself.splice(index, 1);
}

const mongo: Scenario = {
  name: 'mongo-crash',
  says: 'MongoDB, with the databases of two services, is killed, and is back after some seconds.',
  allows: { mailCopies: true },
  round: (scene) => takeAway(scene, 'mongo', 'is killed', () => scene.world.process('mongo').kill()),
};

const rabbitmqStop: Scenario = {
  name: 'rabbitmq-stop',
  says: 'RabbitMQ is stopped in order, and is back after some seconds.',
  round: (scene) => takeAway(scene, 'rabbitmq', 'is stopped', () => scene.world.process('rabbitmq').stop()),
};

const rabbitmqCrash: Scenario = {
  name: 'rabbitmq-crash',
  says: 'RabbitMQ is killed, and is back after some seconds.',
  round: (scene) => takeAway(scene, 'rabbitmq', 'is killed', () => scene.world.process('rabbitmq').kill()),
};

const rabbitmqAlarm: Scenario = {
  name: 'rabbitmq-memory-alarm',
  says: 'RabbitMQ runs out of memory, so it says, and takes nothing from publishers for 20 s.',
  async round({ world, fault, tell }) {
    const { rabbitmq } = world.platform.servers;
    if (rabbitmq === undefined) throw new Error('RabbitMQ is not ours to fill');
    fault('RabbitMQ raises its memory alarm');
    await rabbitmq.setMemoryAlarm(true);
    await delay(ALARM_MS);
    await rabbitmq.setMemoryAlarm(false);
    tell('the alarm is over');
    await delay(2_000);
  },
};

const mail: Scenario = {
  name: 'mail-server-down',
  says: 'The mail server is gone for 20 s.',
  allows: { mailCopies: true },
  async round({ world, fault, tell }) {
    const server = world.process('mail-server');
    fault('the mail server is killed');
    await server.kill();
    await delay(MAIL_AWAY_MS);
    await server.start();
    tell('the mail server is back');
  },
};

/** SQLSTATE 53100, as PostgreSQL says it where a file can't grow. */
const fillDisk = `
  create function disk_is_full() returns trigger language plpgsql as $$
    begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$;
  create trigger disk_is_full before insert on outbox for each row execute function disk_is_full()`;
const clearDisk = 'drop function if exists disk_is_full cascade';

const diskFull = (['users', 'orders', 'payments'] as const).map(
  (database): Scenario => ({
    name: `disk-full-${database}`,
    says: `The disk under the database ${database} is full for 15 s: nothing can be added to its outbox.`,
    async round({ world, fault, tell }) {
      const url = new URL(world.platform.admin.postgresUrl ?? '');
      url.pathname = database;
      const client = new pg.Client({ connectionString: url.href });
      await client.connect();
      try {
        await client.query(fillDisk);
        fault(`the disk of ${database} is full`);
        await delay(FULL_MS);
      } finally {
        await client.query(clearDisk);
        await client.end();
      }
      tell('there is room again');
      await delay(2_000);
    },
  }),
);

export const serverScenarios = [postgres, mongo, rabbitmqStop, rabbitmqCrash, rabbitmqAlarm, mail, ...diskFull];
