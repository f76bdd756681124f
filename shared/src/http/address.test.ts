// Unit test of which countries an address may be in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { address, countries } from './address.ts';

const good = { name: 'Alice', line1: '1 Main Street', city: 'Springfield', postalCode: '62701' };
const isTaken = (country: string) => address.safeParse({ ...good, country }).success;

/** Unicode's names for what is no country of ISO 3166-1: codes that are reserved, and codes for private use. */
const noCountries = new Set('AC CP CQ DG EA EU EZ IC TA UN QO XA XB XK ZZ'.split(' '));
const regionNames = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' });
/** Unicode knows a code, and it stands for nothing newer. */
const isCurrentRegion = (code: string) =>
  regionNames.of(code) !== undefined && Intl.getCanonicalLocales(`und-${code}`)[0] === `und-${code}`;

test('countries: are the 249 that Unicode knows, and nothing that only looks like one', () => {
  const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];
  const pairs = letters.flatMap((first) => letters.map((second) => first + second));
  const known = pairs.filter((code) => !noCountries.has(code) && isCurrentRegion(code));
  assert.equal(known.length, 249);
  assert.deepEqual(countries, known);
  for (const code of ['US', 'GB', 'DE', 'SS', 'CW', 'AX', 'TW', 'AQ', 'PS', 'UM']) assert.ok(isTaken(code), code);
  for (const code of ['UK', 'EU', 'UN', 'XK', 'SU', 'YU', 'AN', 'DD', 'ZZ', 'AA', 'us', 'USA', 'U', '', 'ÅX', '01'])
    assert.ok(!isTaken(code), code);
});
