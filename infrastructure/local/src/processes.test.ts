// Processes are started, written down, and ended: each one that is ours, and none that is not.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { after, describe, it } from 'node:test';
import { waitFor } from '@glasshouse/shared/testing';
import {
  createProcessTable,
  gone,
  identityOf,
  isRunning,
  readState,
  type StartOptions,
  stopRecorded,
} from './processes.ts';

const dir = mkdtempSync(join(tmpdir(), 'processes-'));
const logFile = join(dir, 'log');
let files = 0;
const newStateFile = () => join(dir, `state-${++files}.json`);

/** A child that runs this script for ever, and says on SIGTERM what it was told to say. */
function child(name: string, script = '', stage: StartOptions['stage'] = 'service'): StartOptions {
  return { name, stage, command: process.execPath, args: ['-e', `setInterval(() => {}, 1000); ${script}`], logFile };
}

const ignoresSigterm = "process.on('SIGTERM', () => {}); console.log('deaf')";

async function logSays(text: string): Promise<void> {
  while (!readFileSync(logFile, 'utf8').includes(text)) await new Promise((done) => setTimeout(done, 20));
}

describe('process table', () => {
  after(() => rmSync(dir, { recursive: true }));

  it('start: writes down what runs, forgets what was stopped, keeps what ended by itself', async () => {
    const stateFile = newStateFile();
    const table = createProcessTable(stateFile);
    const names = () => readState(stateFile)?.processes.map(({ name }) => name);
    const [stopped, crashed] = [await table.start(child('stopped')), await table.start(child('crashed'))];
    assert.deepEqual(names(), ['stopped', 'crashed']);
    await stopped.stop();
    process.kill(crashed.pid, 'SIGKILL');
    await crashed.exited;
    assert.deepEqual(names(), ['crashed']);
    assert.equal(readState(stateFile)?.processes.some(isRunning), false);
  });

  it('start: when the program does not exist, says so', async () => {
    const options = { ...child('nothing'), command: join(dir, 'no-such-program') };
    await assert.rejects(createProcessTable().start(options), /^Error: nothing could not be started: .*ENOENT/);
  });

  it('stop: when the process does not end in time, kills it', async () => {
    const deaf = await createProcessTable().start(child('deaf', ignoresSigterm));
    await logSays('deaf');
    await deaf.stop(100);
    assert.deepEqual(await deaf.exited, { code: null, signal: 'SIGKILL' });
  });

  it('stop: when it is asked for twice, the process is asked once', async () => {
    const script = `let asked = 0;
      process.on('SIGTERM', () => { asked += 1; console.log('asked'); setTimeout(() => process.exit(asked), 300); });
      console.log('polite');`;
    const polite = await createProcessTable().start(child('polite', script));
    await logSays('polite');
    const first = polite.stop();
    await logSays('asked');
    await Promise.all([first, polite.stop()]);
    assert.deepEqual(await polite.exited, { code: 1, signal: null });
  });

  it('kill: takes the children of the process with it', async () => {
    const script = `console.log('grandchild', require('child_process').spawn('sleep', ['60']).pid)`;
    const parent = await createProcessTable().start(child('parent', script));
    await logSays('grandchild');
    const pid = Number(readFileSync(logFile, 'utf8').match(/grandchild (\d+)/)?.[1]);
    const grandchild = { pid, identity: identityOf(pid) ?? 'gone' };
    assert.ok(isRunning(grandchild));
    await parent.kill();
    assert.ok(await gone(grandchild, 2_000));
  });

  it('stopAll: ends services before what they call, and starts nothing any more', async () => {
    const table = createProcessTable();
    const ends: string[] = [];
    for (const stage of ['helper', 'server', 'provider', 'service'] as const) {
      const started = await table.start(child(stage, '', stage));
      void started.exited.then(() => ends.push(stage));
    }
    await table.stopAll();
    assert.deepEqual(ends, ['service', 'provider', 'server', 'helper']);
    await assert.rejects(table.start(child('late')), /everything is being stopped/);
  });
});

describe('identityOf', () => {
  it('when a process has ended and its parent has not asked how, undefined', async () => {
    // `exec` turns the shell into a program that never asks after the child that it has inherited; only then is the child let go.
    const program = `"${process.execPath}" -e "console.log('there'); setInterval(() => {}, 1000)"`;
    const parent = spawn('sh', ['-c', `cat <&3 >/dev/null & echo $!; exec ${program}`], {
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    });
    let said = '';
    parent.stdout?.on('data', (text: Buffer) => {
      said += text;
    });
    await waitFor('the shell is the program', () => said.endsWith('there\n'));
    const pid = Number.parseInt(said, 10);
    assert.ok(identityOf(pid));
    (parent.stdio[3] as Writable).end();
    await waitFor('the child has ended', () => identityOf(pid) === undefined);
    assert.ok(process.kill(pid, 0), 'its number is still taken');
    parent.kill();
    await once(parent, 'exit');
  });
});

describe('stopRecorded', () => {
  it('ends what a starter that was killed has left, and it alone', async () => {
    const stateFile = join(mkdtempSync(join(tmpdir(), 'processes-')), 'state.json');
    const script = `
      import { createProcessTable } from ${JSON.stringify(join(import.meta.dirname, 'processes.ts'))};
      const table = createProcessTable(${JSON.stringify(stateFile)});
      const options = { command: 'sleep', args: ['60'], logFile: '/dev/null' };
      await table.start({ ...options, name: 'a-server', stage: 'server' });
      await table.start({ ...options, name: 'a-service', stage: 'service' });
      console.log('started');
      setInterval(() => {}, 1000);`;
    const starter = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(starter.stdout, 'data');
    starter.kill('SIGKILL');
    await once(starter, 'exit');
    const bystander = await createProcessTable().start(child('bystander'));
    const state = readState(stateFile);
    assert.ok(state !== undefined && !isRunning(state.owner));

    assert.deepEqual(await stopRecorded(state), ['a-server', 'a-service']);
    assert.equal(state.processes.some(isRunning), false);
    assert.ok(bystander.running());
    assert.deepEqual(await stopRecorded(state), []);
    await bystander.kill();
    rmSync(stateFile);
  });

  it('when a number is in use by a later process, leaves that alone', async () => {
    const later = await createProcessTable().start(child('later'));
    const record = {
      name: 'earlier',
      pid: later.pid,
      identity: 'another start',
      stage: 'service',
      stopSignal: 'SIGKILL',
    } as const;
    assert.deepEqual(await stopRecorded({ owner: record, processes: [record] }), []);
    assert.ok(later.running());
    assert.equal(isRunning({ pid: later.pid, identity: identityOf(later.pid) ?? '' }), true);
    await later.kill();
    assert.equal(identityOf(later.pid), undefined);
  });
});
