// Fetches the distribution's packages into a folder of ours: no root, nothing installed.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The file that the shell would run for `name`. */
export function findOnPath(name: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(':')
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
}

export type WantedPackages = {
  /** Where they are unpacked. It must not be there yet; it is there whole or not at all. */
  dist: string;
  /** The package that is wanted, */
  name: string;
  /** and which of those that it needs come with it: libc and the like are part of every system. */
  with: RegExp;
  /** What people are told where it can't be had. */
  howToGetIt: string;
  /** Is told right before the download. */
  onDownload(): void;
  /** Has a last look at what was unpacked. */
  adapt?(root: string): void;
};

/** @throws with one line that says what to do where there is no apt, or the packages can't be had */
export async function fetchPackages(wanted: WantedPackages): Promise<void> {
  const { dist, howToGetIt, onDownload, adapt } = wanted;
  if (findOnPath('apt-get') === undefined || findOnPath('dpkg-deb') === undefined) throw new Error(howToGetIt);
  const making = `${dist}.${process.pid}.new`;
  const apt = join(making, 'apt');
  const root = join(making, 'root');
  mkdirSync(join(apt, 'archives', 'partial'), { recursive: true });
  mkdirSync(root);
  try {
    onDownload();
    await download(apt, wanted);
    for (const file of readdirSync(apt).filter((name) => name.endsWith('.deb'))) {
      await run('dpkg-deb', ['-x', join(apt, file), root]);
    }
    adapt?.(root);
    // Somebody else may have been faster; both copies are the same.
    if (!existsSync(dist)) renameSync(root, dist);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

async function download(apt: string, wanted: WantedPackages): Promise<void> {
  const machineLists = aptWith(apt, []);
  const ownLists = aptWith(apt, [`Dir::State::Lists "${join(apt, 'lists')}";`]);
  try {
    await downloadWith(apt, machineLists, wanted);
  } catch {
    // The machine's package lists are empty or too old: fetch fresh ones, for us alone.
    mkdirSync(join(apt, 'lists', 'partial'), { recursive: true });
    try {
      await run('apt-get', ['-q', ...ownLists, 'update']);
      await downloadWith(apt, ownLists, wanted);
    } catch (error) {
      const { stderr = '' } = error as { stderr?: string };
      const reason = stderr.split('\n').find((line) => line.startsWith('E:')) ?? String(error);
      throw new Error(`${wanted.howToGetIt} (Fetching the packages failed: ${reason.trim()})`);
    }
  }
}

async function downloadWith(apt: string, options: string[], wanted: WantedPackages): Promise<void> {
  const names = await packageNames(options, wanted);
  await run('apt-get', ['-q', ...options, 'download', ...names], { cwd: apt });
}

async function packageNames(options: string[], { name, with: also }: WantedPackages): Promise<string[]> {
  const only = ['--no-recommends', '--no-suggests', '--no-conflicts', '--no-breaks', '--no-replaces', '--no-enhances'];
  const { stdout } = await run('apt-cache', [...options, 'depends', '--recurse', ...only, name], {
    maxBuffer: 64 * 1024 * 1024,
  });
  const names = stdout.split('\n').filter((line) => line === name || also.test(line));
  if (!names.includes(name) || names.length < 2) throw new Error('E: no such packages');
  return [...new Set(names)];
}

/** Options that make apt keep every file it writes in our folder, and run nothing of the machine's configuration. */
function aptWith(apt: string, lines: string[]): string[] {
  const file = join(apt, lines.length === 0 ? 'apt.conf' : 'apt-own-lists.conf');
  writeFileSync(
    file,
    [
      // Container images empty the machine's package cache after each update.
      '#clear APT::Update::Pre-Invoke;',
      '#clear APT::Update::Post-Invoke;',
      '#clear APT::Update::Post-Invoke-Success;',
      // As root, apt would fetch as user "_apt", who cannot enter our folder.
      'APT::Sandbox::User "";',
      `Dir::Cache "${apt}";`,
      ...lines,
      '',
    ].join('\n'),
  );
  return ['-c', file];
}
