// What the command is asked to do.
import { parseArgs } from 'node:util';
import { type Replicas, services } from '@glasshouse/local/services';
import type { Scenario } from './scenario.ts';

export interface Wanted {
  scenarios: Scenario[];
  /** For each scenario. */
  orders: number;
  /** Orders a second. */
  rate: number;
  seed: string;
  /** How long an order may stay pending, in seconds. */
  deadlineS: number;
  /** How much longer the auditor waits for everything to come to rest, in seconds. */
  graceS: number;
  copies: Replicas;
  portOffset: number;
  list: boolean;
}

/** A wrong argument, in one line for people. */
export class WrongArgument extends Error {
  override name = 'WrongArgument';
}

const USAGE =
  'npm run chaos -- [--scenario <name>[,<name>…]] [--orders <in all>] [--rate <orders a second>] [--seed <text>] [--deadline <seconds>] [--grace <seconds>] [--copies <of each service>|<service>=<number>[,…]] [--port-offset <number>] [--list]';

/** Orders of a scenario where nobody says how many. */
const ORDERS_EACH = 100;
const FEWEST_EACH = 10;

/** @throws WrongArgument */
export function readArguments(args: readonly string[], all: readonly Scenario[]): Wanted {
  const values = parse(args);
  const scenarios = choose(values.scenario, all);
  const orders =
    values.orders === undefined
      ? ORDERS_EACH
      : Math.max(FEWEST_EACH, Math.ceil(positive('orders', values.orders) / scenarios.length));
  return {
    scenarios,
    orders,
    rate: positive('rate', values.rate),
    seed: values.seed ?? String(Math.floor(Math.random() * 1e9)),
    deadlineS: positive('deadline', values.deadline),
    graceS: positive('grace', values.grace),
    copies: copiesIn(values.copies),
    portOffset: positive('port-offset', values['port-offset']),
    list: values.list,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        scenario: { type: 'string', default: 'all' },
        orders: { type: 'string' },
        rate: { type: 'string', default: '5' },
        seed: { type: 'string' },
        deadline: { type: 'string', default: '120' },
        grace: { type: 'string', default: '60' },
        copies: { type: 'string', default: '2' },
        // Beside a platform that is running already.
        'port-offset': { type: 'string', default: '10000' },
        list: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new WrongArgument(`${(error as Error).message}\n${USAGE}`);
  }
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < Number.POSITIVE_INFINITY))
    throw new WrongArgument(`--${name} is a number above 0, not "${text}".`);
  return value;
}

/** A number for all, or some for those that are named. */
function copiesIn(text: string): Replicas {
  if (/^[1-9]$/.test(text)) return Number(text);
  const copies: Replicas = {};
  for (const each of text.split(',')) {
    const [, name, count] = /^([a-z-]+)=([1-9])$/.exec(each.trim()) ?? [];
    const service = services.find((one) => one.name === name);
    if (service === undefined)
      throw new WrongArgument(`--copies is a number from 1 to 9, or <service>=<number> for some, not "${text}".`);
    copies[service.name] = Number(count);
  }
  return copies;
}

/** A name chooses a scenario, or all whose names begin with it; `all` those that need not be asked for. */
function choose(names: string, all: readonly Scenario[]): Scenario[] {
  const chosen = new Set<Scenario>();
  for (const name of names.split(',').map((each) => each.trim())) {
    const fitting = all.filter((each) =>
      name === 'all' ? each.isOnRequest !== true : each.name === name || each.name.startsWith(`${name}-`),
    );
    if (fitting.length === 0) throw new WrongArgument(`There is no scenario "${name}"; --list shows them all.`);
    for (const each of fitting) chosen.add(each);
  }
  return [...chosen];
}
