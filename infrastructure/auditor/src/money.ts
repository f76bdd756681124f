// Amounts as people write them.

/** A formatter takes a hundred times as long to make as to use. */
const formats = new Map<string, Intl.NumberFormat>();

function formatOf(currency: string): Intl.NumberFormat {
  const { maximumFractionDigits: digits = 0 } = new Intl.NumberFormat('en-US', {
    style: 'currency',
    currency,
  }).resolvedOptions();
  return new Intl.NumberFormat('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** 1999 US cents are "19.99 USD"; ISO 4217 says how many digits the minor units of a currency are. */
export function formatMoney(amount: number, currency: string): string {
  // Broken books may hold anything.
  if (!/^[A-Z]{3}$/.test(currency)) return `${amount} minor units of "${currency}"`;
  const format = formats.get(currency) ?? formatOf(currency);
  formats.set(currency, format);
  // As a decimal string: a quotient of floats would be off for large amounts.
  return `${format.format(`${amount}e-${format.resolvedOptions().maximumFractionDigits}` as `${number}`)} ${currency}`;
}
