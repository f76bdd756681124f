// The Dockerfiles are one recipe: they differ in names, ports and what each kind of process needs, and in nothing else.
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { services } from '../../infrastructure/local/src/services.ts';

const root = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

/** A Dockerfile without what is its own: name, folder, port and description. */
function recipe(folder: string): string[] {
  const name = basename(folder);
  const text = read(`${folder}/Dockerfile`);
  const port = /\bPORT=(\d+)/.exec(text)?.[1] ?? 'none';
  return text
    .replaceAll(folder, '<name>')
    .replaceAll(name, '<name>')
    .replaceAll(new RegExp(`\\b${port}\\b`, 'g'), '<port>')
    .replace(/(image\.description=").*(")/, '$1<description>$2')
    .split('\n');
}

const missingIn = (lines: string[], others: string[]) => lines.filter((line) => !others.includes(line));
const model = recipe('order-service');

for (const { name, port } of services) {
  test(`${name}: its Dockerfile is the others', with its own port`, () => {
    assert.deepEqual(recipe(name), model);
    assert.match(read(`${name}/Dockerfile`), new RegExp(`\\bPORT=${port}\\b`));
  });
}

test('payment-simulator: its Dockerfile differs in its ledger', () => {
  const lines = recipe('infrastructure/payment-simulator');
  assert.deepEqual(missingIn(lines, model), [
    'ENV NODE_ENV=production HOST=0.0.0.0 PORT=<port> LEDGER_FILE=/var/lib/ledger/ledger.db NODE_COMPILE_CACHE=/var/cache/node',
    'RUN install -d -o 1000 -g 1000 /var/cache/node /var/lib/ledger',
    `RUN node --input-type=module -e "await import('./src/simulator.ts')"`,
  ]);
});

for (const folder of ['infrastructure/auditor', 'infrastructure/dead-letters', 'infrastructure/provision']) {
  test(`${basename(folder)}: its Dockerfile is a command's: no port, no health`, () => {
    const lines = missingIn(recipe(folder), model)
      .map((line) => line.replace(/ BROKER_DEFINITIONS_FILE=\S+| \/var\/lib\/broker$/, ''))
      .filter((line) => !line.startsWith('RUN node --input-type=module') && !model.includes(line));
    assert.deepEqual(lines, [
      'ENV NODE_ENV=production NODE_COMPILE_CACHE=/var/cache/node',
      'HEALTHCHECK NONE',
      'ENTRYPOINT ["node", "src/main.ts"]',
    ]);
  });
}

test('every Dockerfile: the user is a number, the base is slim and what it compiles is there', () => {
  const files = globSync(['*/Dockerfile', 'infrastructure/*/Dockerfile'], { cwd: root });
  assert.ok(files.length >= services.length + 3);
  for (const file of files) {
    const text = read(file);
    const bases = [...text.matchAll(/^FROM (\S+)/gm)].map((match) => match[1]);
    assert.deepEqual(bases, ['node:26-slim', 'node:26-slim'], file);
    assert.match(text, /^USER [1-9]\d*:[1-9]\d*$/m, file);
    assert.doesNotMatch(text, /^# syntax=|amd64|arm64|x86_64/m, file);
    const compiled = /import\('\.\/(\S+)'\)/.exec(text)?.[1] ?? 'nothing';
    assert.ok(existsSync(join(root, file, '..', compiled)), `${file} compiles ${compiled}`);
  }
});
