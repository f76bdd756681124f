// Unit test of which countries an address may be in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { address, countries } from './address.ts';

const good = { name: 'Alice', line1: '1 Main Street', city: 'Springfield', postalCode: '62701' };
const isTaken = (country: string) => address.safeParse({ ...good, country }).success;

test('countries: are the 249 of ISO 3166-1, and nothing that only looks like one', () => {
  assert.equal(countries.size, 249);
  for (const code of ['US', 'GB', 'DE', 'SS', 'CW', 'AX', 'TW', 'AQ', 'PS', 'UM']) assert.ok(isTaken(code), code);
  for (const code of ['UK', 'EU', 'UN', 'XK', 'SU', 'YU', 'AN', 'DD', 'ZZ', 'AA', 'us', 'USA', 'U', '', 'ÅX', '01'])
    assert.ok(!isTaken(code), code);
});
