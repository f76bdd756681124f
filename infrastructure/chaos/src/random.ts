// Chance that can be repeated: the same seed makes the same decisions.
import { createHash } from 'node:crypto';

export interface Random {
  /** From 0 up to, not including, 1. */
  (): number;
  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number;
  /** One of them. */
  pick<T>(choices: readonly T[]): T;
}

/** @param seed any text; another text gives an independent row of numbers */
export function createRandom(seed: string): Random {
  // SplitMix64 (Steele, Lea and Flood, 2014): small, and good enough to choose what is broken next.
  let state = createHash('sha256').update(seed).digest().readBigUInt64LE();
  const next = () => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let mixed = state;
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
    return Number((mixed ^ (mixed >> 31n)) >> 11n) / 2 ** 53;
  };
  const between = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  return Object.assign(next, {
    between,
    pick<T>(choices: readonly T[]): T {
      const chosen = choices[between(0, choices.length - 1)];
      if (chosen === undefined) throw new Error('there is nothing to choose from');
      return chosen;
    },
  });
}
