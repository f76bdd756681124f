// What a pattern is good for: takes it out of a copy of the code, breaks what it is there for, and shows what the auditor finds:
//   npm run without -- outbox
// The exit code is 0 where the auditor, or the customers' record, has found what the pattern prevents; 1 where nothing was wrong without it,
// 2 where it could not be tried.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../../..');
const lab = join(root, 'docs/failure-lab');
const patterns = globSync('*.patch', { cwd: lab })
  .map((file) => basename(file, '.patch'))
  .sort();

/** What comes behind the pattern is for the chaos command. */
const [pattern = '', ...more] = process.argv.slice(2);
if (!patterns.includes(pattern)) {
  console.error(`npm run without -- <pattern>, where the pattern is one of: ${patterns.join(', ')}.`);
  process.exit(2);
}

const patch = join(lab, `${pattern}.patch`);
/** The patch's own words: what is taken out, with what, and how that is seen. */
const header = (/^[\s\S]*?(?=^--- )/m.exec(readFileSync(patch, 'utf8'))?.[0] ?? '')
  .replace(/^diff .*\n(index .*\n)?/gm, '')
  .trim();
const argumentsOf = /^npm run chaos -- (.*)$/m.exec(header)?.[1];
if (argumentsOf === undefined) throw new Error(`${patch} does not say which scenario shows what is missing`);

const copy = makeFolder();
let child: ChildProcess | undefined;
// It stops the platform, which needs the copy until then.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child?.kill('SIGTERM'));
try {
  copyCode();
  const applied = spawnSync('git', ['apply', patch], { cwd: copy, encoding: 'utf8' });
  if (applied.status !== 0) throw new Error(`${patch} does not fit the code any more:\n${applied.stderr}`);
  console.log(`${header}\n`);
  child = spawn(process.execPath, ['infrastructure/chaos/src/main.ts', ...argumentsOf.split(' '), ...more], {
    cwd: copy,
    stdio: 'inherit',
    env: { ...process.env, CHAOS_CACHE_DIR: process.env.CHAOS_CACHE_DIR ?? join(root, '.local') },
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code === 1) console.log(`\nThat is what becomes of it without the ${pattern}.`);
  else if (code === 0)
    console.log(`\nNothing was wrong without the ${pattern}: either it is not needed, or nobody is looking.`);
  else console.log('\nIt could not be tried.');
  process.exitCode = code === 1 ? 0 : code === 0 ? 1 : 2;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
} finally {
  rmSync(copy, { recursive: true, force: true });
}

/** The same one each time, unless somebody else is using it: what was compiled there once is found again by its path. */
function makeFolder(): string {
  const usual = join(tmpdir(), 'glasshouse-without');
  try {
    mkdirSync(usual);
    return usual;
  } catch {
    return mkdtempSync(`${usual}-`);
  }
}

/** What git knows of, and links to what npm has installed; our own packages are those of the copy. */
function copyCode(): void {
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root })
    .toString()
    .split('\0')
    .filter((file) => file !== '' && existsSync(join(root, file)));
  for (const file of files) cpSync(join(root, file), join(copy, file));
  for (const folder of globSync('{.,*,infrastructure/*}/node_modules', { cwd: root })) {
    mkdirSync(join(copy, folder, '@glasshouse'), { recursive: true });
    for (const name of readdirSync(join(root, folder)))
      if (name !== '@glasshouse') symlinkSync(join(root, folder, name), join(copy, folder, name));
  }
  // Links that are relative lead to the copy's own.
  cpSync(join(root, 'node_modules/@glasshouse'), join(copy, 'node_modules/@glasshouse'), {
    recursive: true,
    verbatimSymlinks: true,
  });
}
