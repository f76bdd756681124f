// How figures are written for people.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figure, hasReached, summary, table } from './report.ts';

const measured = { median: 0.412, min: 0.3951, max: 0.43, runs: 5 };

test('figure: the median with its spread; of one run, the value alone', () => {
  assert.equal(figure(measured, 2), '0.41 (0.40–0.43)');
  assert.equal(figure({ ...measured, runs: 1 }, 1), '0.4');
});

test('table: the columns are as wide as what is in them', () => {
  assert.equal(
    table({ columns: ['', 'a'], rows: [['name', '1234']] }),
    ['|      |    a |', '| ---- | ---: |', '| name | 1234 |'].join('\n'),
  );
});

test('summary: says what is wanted, and whether it is so', () => {
  const headline = { what: 'ratio', figure: measured, digits: 2 };
  assert.equal(hasReached({ ...headline, aim: { atLeast: 0.4 } }), true);
  assert.equal(hasReached({ ...headline, aim: { atLeast: 0.42 } }), false);
  assert.equal(hasReached({ ...headline, aim: { atMost: 0.4 } }), false);
  assert.match(
    summary([{ ...headline, aim: { atMost: 0.4 } }]),
    /\| ratio \| +0\.41 \(0\.40–0\.43\) \| ≤ 0\.4 \| +no \|$/,
  );
});
