// The parameters of every call: what Stripe takes that the platform needs. Anything else is refused by name, never ignored.
import qs from 'qs';
import { z } from 'zod';
import { type Answer, invalid } from '../answer.ts';
import { moodCalls } from '../domain/mood.ts';

// Stripe's own bounds on an amount depend on the account and the currency; here any positive amount of up to 12 digits will do.
const amount = z
  .string()
  .regex(/^\d+$/, 'is not a whole number')
  .transform(Number)
  .pipe(z.int().min(1).max(999_999_999_999));
const isoCurrencies: ReadonlySet<string> = new Set(Intl.supportedValuesOf('currency'));
const currency = z
  .string()
  .refine((value) => isoCurrencies.has(value.toUpperCase()), 'is not an ISO 4217 currency')
  .toLowerCase();
const id = z.string().min(1).max(255);
const flag = z.enum(['true', 'false']).transform((value) => value === 'true');
const limit = (fallback: number) =>
  z.string().regex(/^\d+$/, 'is not a whole number').transform(Number).pipe(z.int().min(1).max(100)).default(fallback);
// An empty value takes a key away, so on creation it is as if the key were not there.
const metadata = z
  .record(z.string().min(1).max(40), z.string().max(500))
  .refine((pairs) => Object.keys(pairs).length <= 50, 'has more than 50 keys')
  .transform((pairs) => Object.fromEntries(Object.entries(pairs).filter(([, value]) => value !== '')))
  .default({});

export const createPaymentIntentParameters = z
  .strictObject({
    amount,
    currency,
    payment_method: id.optional(),
    payment_method_types: z.array(z.literal('card')).nonempty().optional(),
    automatic_payment_methods: z
      .strictObject({ enabled: flag, allow_redirects: z.enum(['always', 'never']).default('always') })
      .optional(),
    confirm: flag.default(false),
    metadata,
    description: z.string().max(1000).optional(),
  })
  .refine((given) => given.payment_method_types === undefined || given.automatic_payment_methods === undefined, {
    path: ['payment_method_types'],
    message: 'cannot be given together with automatic_payment_methods',
  });
export const confirmPaymentIntentParameters = z.strictObject({ payment_method: id.optional() });
export const cancelPaymentIntentParameters = z.strictObject({
  cancellation_reason: z.enum(['abandoned', 'duplicate', 'fraudulent', 'requested_by_customer']).optional(),
});
export const createRefundParameters = z.strictObject({
  payment_intent: id,
  amount: amount.optional(),
  metadata,
  reason: z.enum(['duplicate', 'fraudulent', 'requested_by_customer']).optional(),
});
export const listRefundsParameters = z.strictObject({
  payment_intent: id.optional(),
  limit: limit(10),
  starting_after: id.optional(),
});
export const ledgerParameters = z.strictObject({
  limit: limit(20),
  cursor: z
    .string()
    .transform((value) => Buffer.from(value, 'base64url').toString())
    .pipe(z.string().regex(/^\d{1,15}$/, 'is not one that was given out'))
    .transform(Number)
    .default(0),
});

const wholeNumber = (most: number) =>
  z.string().regex(/^\d+$/, 'is not a whole number').transform(Number).pipe(z.int().min(1).max(most));
const milliseconds = wholeNumber(3_600_000);
const ofOrder = { order_id: id.optional(), times: wholeNumber(1_000_000).optional() };
const ofCall = { call: z.enum(moodCalls.slow).optional(), ...ofOrder };
const ofRefund = { call: z.enum(moodCalls.refusing).optional(), ...ofOrder };
export const moodParameters = z.discriminatedUnion(
  'mood',
  [
    z.strictObject({ mood: z.literal('slow'), ms: milliseconds, ...ofCall }),
    z.strictObject({ mood: z.literal('failing'), done: flag.default(false), ...ofCall }),
    z.strictObject({ mood: z.enum(['drop-before', 'drop-after']), ...ofCall }),
    z.strictObject({ mood: z.literal('down'), times: ofOrder.times }),
    z.strictObject({
      mood: z.literal('refusing'),
      code: z
        .string()
        .regex(/^[a-z_]{1,100}$/, 'is not an error code')
        .default('charge_disputed'),
      ...ofRefund,
    }),
    z.strictObject({ mood: z.literal('refund-failing'), ...ofRefund }),
    z.strictObject({
      mood: z.literal('processing'),
      ms: milliseconds.optional(),
      call: z.enum(moodCalls.processing).optional(),
      ...ofOrder,
    }),
  ],
  { error: `is not one of ${Object.keys(moodCalls).join(', ')}` },
);
export const noParameters = z.strictObject({});

export const cursorOf = (position: number): string => Buffer.from(String(position)).toString('base64url');

/** Reads a form or a query as Stripe writes it: `metadata[orderId]=7`. */
export const parseForm = (text: string): Record<string, unknown> => qs.parse(text, { plainObjects: true });

/** The parameters, or the refusal that names the first one that is wrong. */
export function checkParameters<S extends z.ZodType>(
  schema: S,
  given: Record<string, unknown>,
): { readonly parameters: z.output<S> } | { readonly refused: Answer } {
  const result = schema.safeParse(given);
  if (result.success) return { parameters: result.data };
  const [issue] = result.error.issues;
  return { refused: issue ? explain(issue, given) : invalid('The parameters are wrong.') };
}

function explain(issue: z.core.$ZodIssue, given: Record<string, unknown>): Answer {
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
  const path = [...issue.path, ...unknown].map(String);
  const param = path.map((part, depth) => (depth === 0 ? part : `[${part}]`)).join('');
  if (unknown.length > 0)
    return invalid(`The parameter ${param} is not known here.`, { code: 'parameter_unknown', param });
  const value = path.reduce<unknown>((outer, part) => (outer as Record<string, unknown> | undefined)?.[part], given);
  if (value === undefined) return invalid(`The parameter ${param} is required.`, { code: 'parameter_missing', param });
  if (value === '') return invalid(`The parameter ${param} is empty.`, { code: 'parameter_invalid_empty', param });
  const whole = ['amount', 'limit', 'ms', 'times'].includes(param);
  return invalid(`The parameter ${param} is wrong: ${issue.message}`, {
    ...(whole && { code: 'parameter_invalid_integer' }),
    param,
  });
}
