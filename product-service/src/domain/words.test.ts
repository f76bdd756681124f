// What counts as a word, without a server.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordsOf } from './words.ts';

test('wordsOf: letters and digits, without case and accents, each once', () => {
  assert.deepEqual(wordsOf('Café-Set, 2 CUPS & a café'), ['cafe', 'set', '2', 'cups', 'a']);
  assert.deepEqual(wordsOf('ＦＵＬＬ width ﬁne'), ['full', 'width', 'fine']);
  assert.deepEqual(wordsOf('Straße STRASSE strasse'), ['strasse']);
  assert.deepEqual(wordsOf('Чайник 茶壶'), ['чаиник', '茶壶']);
  assert.deepEqual(wordsOf(' — !!! '), []);
});
