// A postal address, as customers keep it and orders are sent to it.
import { z } from 'zod';
import { text } from './schemas.ts';

const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];
/** Names that Unicode has for what is no country of ISO 3166-1: codes that are reserved, and codes for private use. */
const noCountries = new Set('AC CP CQ DG EA EU EZ IC TA UN QO XA XB XK ZZ'.split(' '));
const regionNames = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' });

/** Unicode knows a code, and it stands for nothing newer. */
const isCurrentRegion = (code: string) =>
  regionNames.of(code) !== undefined && Intl.getCanonicalLocales(`und-${code}`)[0] === `und-${code}`;

/** The country codes of ISO 3166-1 alpha-2, 249 of them: https://www.iso.org/iso-3166-country-codes.html */
export const countries: ReadonlySet<string> = new Set(
  letters
    .flatMap((first) => letters.map((second) => first + second))
    .filter((code) => !noCountries.has(code) && isCurrentRegion(code)),
);

export const exampleAddress = {
  name: 'Alice Example',
  line1: '1 Main Street',
  city: 'Springfield',
  region: 'IL',
  postalCode: '62701',
  country: 'US',
};

export const address = z
  .strictObject({
    name: text(1, 200),
    line1: text(1, 200),
    line2: text(1, 200).optional(),
    city: text(1, 100),
    region: text(1, 100).optional(),
    postalCode: text(1, 20),
    country: z.enum([...countries], 'is not an ISO 3166-1 alpha-2 code'),
  })
  .meta({ id: 'Address', examples: [exampleAddress] });
