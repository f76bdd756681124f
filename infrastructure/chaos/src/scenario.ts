// What a scenario is: one way to break the platform, and what customers may notice of it.
import type { Shopping } from './customers.ts';
import type { Random } from './random.ts';
import type { Allowances } from './verdict.ts';
import type { World } from './world.ts';

export interface Scene {
  world: World;
  random: Random;
  /** The orders that flow meanwhile. */
  shopping: Shopping;
  /** How many of them there are to be, at least. */
  orders: number;
  /** Says that something is broken now; shown as progress, and counted. */
  fault(what: string): void;
  /** Says that something else is being done. */
  tell(what: string): void;
  /** Says that something is wrong, which nobody else looks at. */
  complain(what: string): void;
}

export interface Scenario {
  /** Such as `kill-order-service`; a name stands for all that begin with it and a hyphen. */
  name: string;
  /** What is broken and how, in a sentence. */
  says: string;
  /** What it may cause besides refusals; by default answers of 500 and more, nothing else. */
  allows?: Partial<Allowances>;
  /** Breaks it and mends it again; done over and over while orders are being sent, at least once. */
  round(scene: Scene): Promise<void>;
  /** Runs only when it is named. */
  isOnRequest?: boolean;
}
