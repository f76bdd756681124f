// What ends by itself comes back; what was ended on purpose stays away until it is wanted again.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createProcessTable } from './processes.ts';
import { createSupervisor } from './supervisor.ts';

const dir = mkdtempSync(join(tmpdir(), 'supervisor-'));

function supervisorOf(restart: boolean) {
  const table = createProcessTable();
  const lines: string[] = [];
  const supervisor = createSupervisor({ table, restart, firstPauseMs: 20, log: (line) => lines.push(line) });
  let launches = 0;
  const launch = () => {
    launches += 1;
    return table.start({
      name: 'sleeper',
      stage: 'server',
      command: 'sleep',
      args: ['60'],
      logFile: join(dir, 'log'),
    });
  };
  const sleeper = () => {
    const found = supervisor.processes.get('sleeper');
    assert.ok(found);
    return found;
  };
  return { table, supervisor, lines, launch, sleeper, launches: () => launches };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10);
}

describe('supervisor', () => {
  after(() => rmSync(dir, { recursive: true }));

  it('when a process ends by itself, starts it again and says so', async () => {
    const { supervisor, launch, sleeper, lines } = supervisorOf(true);
    await supervisor.supervise('sleeper', launch);
    const first = sleeper().pid();
    assert.ok(first);
    process.kill(first, 'SIGKILL');
    await until(() => (sleeper().pid() ?? first) !== first);
    assert.deepEqual(lines, ['sleeper ended by itself (SIGKILL); it is started again']);
    await supervisor.stop();
    assert.equal(sleeper().pid(), undefined);
  });

  it('when it cannot be started again at once, tries until it can', async () => {
    const { supervisor, launch, sleeper, lines, launches } = supervisorOf(true);
    let refuse = false;
    await supervisor.supervise('sleeper', async () => {
      if (!refuse) return launch();
      refuse = false;
      throw new Error('first line\nlast line');
    });
    refuse = true;
    const first = sleeper().pid() ?? 0;
    process.kill(first, 'SIGKILL');
    await until(() => launches() === 2 && sleeper().pid() !== undefined);
    assert.equal(lines[1], "sleeper can't be started: last line");
    await supervisor.stop();
  });

  it('when a process is stopped or killed on purpose, leaves it so until it is started', async () => {
    const { supervisor, launch, sleeper, lines, launches } = supervisorOf(true);
    await supervisor.supervise('sleeper', launch);
    for (const end of ['stop', 'kill'] as const) {
      await sleeper()[end]();
      assert.equal(sleeper().pid(), undefined);
      await sleeper().start();
      assert.ok(sleeper().pid());
    }
    assert.equal(launches(), 3);
    assert.deepEqual(lines, []);
    await supervisor.stop();
  });

  it('when it is not to be started again, says that it stays away, until it is started', async () => {
    const { supervisor, launch, sleeper, lines, launches } = supervisorOf(true);
    await supervisor.supervise('sleeper', launch, false);
    process.kill(sleeper().pid() ?? 0, 'SIGKILL');
    await until(() => lines.length > 0);
    assert.deepEqual(lines, ['sleeper ended by itself (SIGKILL) and stays away']);
    await sleep(100);
    assert.equal(launches(), 1);
    await sleeper().start();
    assert.ok(sleeper().pid());
    await supervisor.stop();
  });

  it('when a process is stopped or killed before it is ready, it is gone', async () => {
    for (const end of ['stop', 'kill'] as const) {
      const { supervisor, launch, sleeper, table } = supervisorOf(true);
      const gate = Promise.withResolvers<void>();
      const starting = supervisor.supervise('sleeper', async () => {
        const child = await launch();
        await gate.promise;
        return child;
      });
      await until(() => table.running().length === 1);
      await sleeper()[end]();
      assert.deepEqual(table.running(), []);
      gate.resolve();
      await starting;
      assert.equal(sleeper().pid(), undefined);
      await supervisor.stop();
    }
  });

  it('stop: also ends what is being started, and starts nothing any more', async () => {
    const { supervisor, launch, table } = supervisorOf(true);
    const gate = Promise.withResolvers<void>();
    const starting = supervisor.supervise('sleeper', async () => {
      const child = await launch();
      await gate.promise;
      return child;
    });
    await until(() => table.running().length === 1);
    await supervisor.stop();
    assert.deepEqual(table.running(), []);
    gate.resolve();
    await starting;
    await assert.rejects(launch(), /everything is being stopped/);
  });
});
