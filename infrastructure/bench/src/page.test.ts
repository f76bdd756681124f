// New figures take the place of the old ones, and of nothing else.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { measurements } from './arguments.ts';
import { withFigures } from './page.ts';

const page = `# Page

<!-- figures: one -->
old
<!-- end of figures -->

Prose.

<!-- figures: two -->
<!-- end of figures -->
`;

test('withFigures: between the markers, as often as one likes', () => {
  const once = withFigures(withFigures(page, 'two', 'second'), 'one', 'new');
  assert.match(once, /# Page\n\n<!-- figures: one -->\n\nnew\n\n<!-- end of figures -->\n\nProse\./);
  assert.match(once, /<!-- figures: two -->\n\nsecond\n\n<!-- end of figures -->\n$/);
  assert.doesNotMatch(once, /old/);
  assert.equal(withFigures(once, 'one', 'new'), once);
});

test('withFigures: where there is no place, an error', () => {
  assert.throws(() => withFigures(page, 'three', ''), /no place for figures of "three"/);
});

test('docs/performance.md has a place for every measurement', () => {
  const performance = readFileSync(join(import.meta.dirname, '../../../docs/performance.md'), 'utf8');
  for (const { name } of measurements) withFigures(performance, name, '');
});
