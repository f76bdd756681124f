// `npm run dev`: finds out which code has changed and starts what runs it again. It looks at the files four times a second:
// `fs.watch` loses a folder that is removed and made again at once, as git does it, and hears nothing of mounted folders.
import { readdirSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import type { Log } from './processes.ts';
import { services } from './services.ts';
import type { SupervisedProcess } from './supervisor.ts';

/** The processes that run our code, in the order in which they are started again. */
const parts = ['payment-simulator', ...services.map(({ name }) => name)];
/** Whose code lies in which folder. */
const folders = new Map<string, readonly string[]>([
  ['shared', parts],
  ['infrastructure/payment-simulator', ['payment-simulator']],
  ...services.map(({ name }) => [name, [name]] as const),
]);
/** Tests run elsewhere, and editors leave files of their own: hidden, ending in `~` or without an ending. */
const isCode = (file: string) => /(^|\/)[^./][^/]*\.\w+$/.test(file) && !file.endsWith('.test.ts');

/** Whose code a file is. The path is from the repository's root, with `/`. */
export function partsOf(file: string): readonly string[] {
  for (const [folder, names] of folders) {
    const inside = file.startsWith(`${folder}/`) ? file.slice(folder.length + 1) : '';
    if (inside === 'package.json' || (/^(src|migrations)\//.test(inside) && isCode(inside))) return names;
  }
  return [];
}

/** Whether the database has to be brought up to date before the code of `file` runs. */
export function isMigration(file: string): boolean {
  return /^[^/]+\/(migrations\/|src\/(migrate|data\/collections)\.ts$)/.test(file);
}

/** What tells one state of a file from another, for each file of code below `root`. */
function look(root: string): Map<string, string> {
  const files = new Map<string, string>();
  const add = (path: string) => {
    const file = relative(root, path).replaceAll(sep, '/');
    const stat = partsOf(file).length > 0 ? statSync(path, { throwIfNoEntry: false }) : undefined;
    if (stat?.isFile()) files.set(file, `${stat.mtimeMs} ${stat.size}`);
  };
  for (const folder of folders.keys()) {
    add(join(root, folder, 'package.json'));
    for (const inside of ['src', 'migrations']) for (const path of pathsIn(join(root, folder, inside))) add(path);
  }
  return files;
}

function pathsIn(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path));
  } catch (error) {
    // Not there, or just being replaced: then the next look sees it.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function differences(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  const all = new Set([...before.keys(), ...after.keys()]);
  return [...all].filter((file) => before.get(file) !== after.get(file)).sort();
}

/**
 * Calls `onChange` with the files that have changed, once they have stayed as they are from one look to the next: an
 * editor writes a file several times, and a checkout many files. Returns what ends it.
 */
export function watchCode(root: string, onChange: (files: string[]) => void, intervalMs = 250): () => void {
  let told = look(root);
  let last = told;
  const timer = setInterval(() => {
    const now = look(root);
    const isQuiet = differences(last, now).length === 0;
    last = now;
    const changed = isQuiet ? differences(told, now) : [];
    if (changed.length === 0) return;
    told = now;
    onChange(changed);
  }, intervalMs);
  return () => clearInterval(timer);
}

export interface Restarter {
  /** Starts again whatever runs the code of these files: one process after the other, so that the rest goes on. */
  changed(files: readonly string[]): void;
  /** Resolves when nothing is left to be started again. */
  idle(): Promise<void>;
  /** From now on nothing is started again. */
  stop(): void;
}

/**
 * What does not start is left alone until its code changes again.
 * @param processes by name; `<service>-2` is the second copy of a service
 * @param migrate brings a service's database up to date
 */
export function createRestarter(options: {
  processes: ReadonlyMap<string, SupervisedProcess>;
  migrate: (service: string) => Promise<void>;
  log: Log;
}): Restarter {
  const { processes, migrate, log } = options;
  /** Those to be started again. */
  const due = new Set<string>();
  /** What has changed since the last good start, by part: a migration that failed is not forgotten. */
  const changes = new Map<string, Set<string>>();
  let starting: { part: string; process: SupervisedProcess } | undefined;
  let working: Promise<void> | undefined;
  let isStopped = false;

  const copiesOf = (part: string) => [...processes.values()].filter(({ name }) => name.replace(/-\d+$/, '') === part);

  function changed(files: readonly string[]): void {
    for (const file of files) {
      for (const part of partsOf(file).filter((one) => processes.has(one))) {
        due.add(part);
        changes.set(part, (changes.get(part) ?? new Set()).add(file));
      }
    }
    // It may never get ready with the code that it has read.
    if (starting !== undefined && due.has(starting.part)) void starting.process.kill();
    working ??= work().finally(() => {
      working = undefined;
    });
  }

  async function work(): Promise<void> {
    while (due.size > 0 && !isStopped) {
      const part = parts.find((one) => due.has(one)) ?? '';
      due.delete(part);
      await restart(part);
    }
  }

  async function restart(part: string): Promise<void> {
    const startedAt = performance.now();
    const files = [...(changes.get(part) ?? [])];
    try {
      if (files.some(isMigration)) await migrate(part);
      for (const process of copiesOf(part)) {
        await process.stop();
        starting = { part, process };
        await process.start();
        starting = undefined;
      }
    } catch (error) {
      starting = undefined;
      const [line = ''] = (error as Error).message.split('\n');
      if (!isStopped && !due.has(part)) log(`${line.replace(/:$/, '')}; the next change starts it again`);
      return;
    }
    if (isStopped || due.has(part)) return;
    changes.delete(part);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    const others = files.length > 1 ? ` and ${files.length - 1} more` : '';
    log(`${part} restarted in ${seconds} s: ${files[0]}${others} changed`);
  }

  return {
    changed,
    idle: async () => working,
    stop() {
      isStopped = true;
    },
  };
}
