// What the command is asked to do.
import { parseArgs } from 'node:util';

export const measurements = [
  { letter: 'a', name: 'gateway', says: "the gateway's throughput with every policy on, over nginx's plain proxy" },
  { letter: 'b', name: 'tracing', says: 'the same gateway with tracing off, at 5 % and at 100 %' },
  { letter: 'c', name: 'latency', says: 'an order from the request to its confirmation, over the bare floor' },
  { letter: 'd', name: 'throughput', says: 'orders a second with everything on this machine, over the bare floor' },
  { letter: 'e', name: 'memory', says: 'memory of the six services after the load, with tracing and without' },
  { letter: 'f', name: 'growth', says: 'how reads and orders grow dearer with the catalogue and the orders there are' },
] as const;
export type Measurement = (typeof measurements)[number]['name'];

export interface Wanted {
  only: ReadonlySet<Measurement>;
  /** Of each measurement; each has its own number where nobody says one. */
  runs: number | undefined;
  isQuick: boolean;
  /** Whether the figures go into the page. */
  write: boolean;
  portOffset: number;
  help: boolean;
}

/** A wrong argument, or what can't be had, in words for people. */
export class CannotMeasure extends Error {
  override name = 'CannotMeasure';
}

export const USAGE = `npm run bench -- [--quick] [--only <measurement>[,<measurement>…]] [--runs <number>] [--write] [--port-offset <number>]

${measurements.map(({ letter, name, says }) => `  ${letter}  ${name.padEnd(10)}  ${says}`).join('\n')}

  --quick        a look: fewer and shorter runs, smaller tables, and (f) only where it is asked for
  --only         some of them, by letter or name
  --runs         how many runs of each (5; fewer with --quick)
  --write        puts the figures into docs/performance.md
  --port-offset  added to the ports of the services (11000)`;

/** @throws CannotMeasure */
export function readArguments(args: readonly string[]): Wanted {
  const values = parse(args);
  if (values.quick && values.write)
    throw new CannotMeasure('--write puts figures into a page that people rely on: it does not go with --quick.');
  return {
    only: choose(values.only, values.quick),
    runs: values.runs === undefined ? undefined : whole('runs', values.runs, 1, 100),
    isQuick: values.quick,
    write: values.write,
    // Above it lie the ports that servers get, and those of outgoing connections.
    portOffset: whole('port-offset', values['port-offset'], 1_000, 12_000),
    help: values.help,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string' },
        runs: { type: 'string' },
        write: { type: 'boolean', default: false },
        'port-offset': { type: 'string', default: '11000' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    throw new CannotMeasure(`${(error as Error).message}\n\n${USAGE}`);
  }
}

function whole(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most)
    throw new CannotMeasure(`--${name} is a whole number from ${least} to ${most}, not "${text}".`);
  return value;
}

function choose(text: string | undefined, isQuick: boolean): Set<Measurement> {
  // To fill two shops takes longer than a look.
  if (text === undefined)
    return new Set(measurements.map(({ name }) => name).filter((name) => !isQuick || name !== 'growth'));
  return new Set(
    text.split(',').map((part) => {
      const wanted = part.trim();
      const found = measurements.find(({ letter, name }) => wanted === letter || wanted === name);
      if (found === undefined)
        throw new CannotMeasure(
          `There is no measurement "${wanted}": it is one of ${measurements.map(({ letter, name }) => `${letter} (${name})`).join(', ')}.`,
        );
      return found.name;
    }),
  );
}
