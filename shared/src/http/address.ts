// A postal address, as customers keep it and orders are sent to it.
import { z } from 'zod';
import { text } from './schemas.ts';

/** The country codes of ISO 3166-1 alpha-2: https://www.iso.org/iso-3166-country-codes.html */
export const countries: readonly string[] = `
  AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO
  CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR
  HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN
  MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD
  SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE
  YT ZA ZM ZW
`
  .trim()
  .split(/\s+/);

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
    country: z.enum(countries, 'is not an ISO 3166-1 alpha-2 code'),
  })
  .meta({ id: 'Address', examples: [exampleAddress] });
