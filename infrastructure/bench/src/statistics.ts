// Pure arithmetic on what was measured: medians, quantiles, and how far runs lie apart.

/** What several runs came to. */
export interface Figure {
  median: number;
  /** The spread: the lowest and the highest run. */
  min: number;
  max: number;
  runs: number;
}

/**
 * The value below which `share` of the values lie, between two of them by a straight line.
 * @throws RangeError where there are no values, or the share is none
 */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('no values');
  if (!(share >= 0 && share <= 1)) throw new RangeError(`${share} is no share`);
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)] ?? 0;
  const above = sorted[Math.ceil(place)] ?? 0;
  return below + (above - below) * (place - Math.floor(place));
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

export function figureOf(values: readonly number[]): Figure {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values), runs: values.length };
}

/**
 * The ratio of each pair that was measured one right after the other: what the machine did to both cancels out.
 * @throws RangeError where one of them has no partner
 */
export function ratios(values: readonly number[], baselines: readonly number[]): number[] {
  if (values.length !== baselines.length)
    throw new RangeError(`${values.length} values, ${baselines.length} baselines`);
  return values.map((value, index) => value / (baselines[index] ?? Number.NaN));
}
