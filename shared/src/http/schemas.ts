// What the schemas of all services are made of: text, money, pages of lists.
import { z } from 'zod';
import { AppError } from '../errors/index.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const controlCharacters = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

/** Text that a person typed: trimmed, no control characters (PostgreSQL takes no NUL), no half of a surrogate pair. */
export const text = (min: number, max: number) =>
  z
    .string()
    .trim()
    .min(min)
    .max(max)
    .refine((value) => value.isWellFormed() && !controlCharacters.test(value), {
      message: 'has characters that are not allowed',
    });

const currencies = new Set(Intl.supportedValuesOf('currency'));

/** A price that comes in: at least one minor unit, for nobody can be charged nothing. */
export const money = z
  .strictObject({
    amount: z.int().positive().max(99_999_999),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/, { abort: true })
      .refine((code) => currencies.has(code), { message: 'is not an ISO 4217 code' }),
  })
  .meta({ id: 'Price', examples: [{ amount: 1999, currency: 'USD' }] });

/** Money that goes out: integer minor units, ISO 4217. */
export const moneyOut = z
  .object({ amount: z.int(), currency: z.string() })
  .meta({ id: 'Money', examples: [{ amount: 1999, currency: 'USD' }] });

/** The answer of a list: a page of what `item`, a named schema, describes. */
export function listOf<S extends z.ZodType>(item: S) {
  const { id, examples } = item.meta() as { id: string; examples: z.output<S>[] };
  return z
    .object({ items: z.array(item), nextCursor: z.string().nullable() })
    .meta({ id: `${id}List`, examples: [{ items: examples.slice(0, 1), nextCursor: null }] });
}

/** A whole number in a query, in digits alone: `Number` would read `0x10` and `1e1` too. */
export const digits = (min: number, max: number) =>
  z.preprocess(
    (value) => (typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value),
    z.int('is not a whole number in digits').min(min).max(max),
  );

/** A list's page size, 1–100, and where the page before ended. */
export const pageQuery = {
  limit: digits(1, 100).default(20),
  // It may hold the longest text that a list is sorted by, a name of 200 letters.
  cursor: z.string().min(1).max(1_500).optional(),
};

/** A page of a list. */
export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

/**
 * Cuts a page from one row more than fits on it.
 * @param cursorOf the place of a row in the list's order, anything that JSON can hold
 */
export function toPage<T>(rows: T[], limit: number, cursorOf: (row: T) => unknown): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { items, nextCursor: more ? Buffer.from(JSON.stringify(cursorOf(last))).toString('base64url') : null };
}

/**
 * Where the page before ended, as `toPage` wrote it; undefined on the first page.
 * @throws AppError `malformed` where the cursor is not one of ours
 */
export function readCursor<S extends z.ZodType>(cursor: string | undefined, schema: S): z.output<S> | undefined {
  if (cursor === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')));
  } catch {
    throw new AppError('malformed', 'query.invalid', 'The cursor is not one of ours.');
  }
}
