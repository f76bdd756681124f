// Amounts as people write them.

/** 1999 US cents are "19.99 USD"; ISO 4217 says how many digits the minor units of a currency are. */
export function formatMoney(amount: number, currency: string): string {
  // Broken books may hold anything.
  if (!/^[A-Z]{3}$/.test(currency)) return `${amount} minor units of "${currency}"`;
  const { maximumFractionDigits: digits = 0 } = new Intl.NumberFormat('en-US', {
    style: 'currency',
    currency,
  }).resolvedOptions();
  const format = new Intl.NumberFormat('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  // As a decimal string: a quotient of floats would be off for large amounts.
  return `${format.format(`${amount}e-${digits}` as `${number}`)} ${currency}`;
}
