// Measures the platform against the bare floor that it stands on, both in the same run:
//   npm run bench                          everything, in about half an hour
//   npm run bench -- --quick               a look, in two or three minutes
//   npm run bench -- --only c,d --runs 3   some of it
//   npm run bench -- --write               puts the figures into docs/performance.md
// The exit code is 0 where everything was measured, 2 where something could not be.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CannotMeasure, readArguments, USAGE } from './arguments.ts';
import { describeCode, describeMachine } from './machine.ts';
import { measureGateway } from './measure-gateway.ts';
import { measureGrowth } from './measure-growth.ts';
import { measureOrders } from './measure-orders.ts';
import { withFigures } from './page.ts';
import { type Headline, type Section, sectionText, summary } from './report.ts';
import { openWorkshop, type Workshop } from './workshop.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const PAGE = join(ROOT, 'docs/performance.md');

const code = await main().catch((error) => {
  console.error(error instanceof CannotMeasure ? error.message : error);
  return 2;
});
// What was interrupted may still be waiting for answers.
process.exit(code);

async function main(): Promise<number> {
  const wanted = readArguments(process.argv.slice(2));
  const { only } = wanted;
  if (wanted.help) {
    console.log(USAGE);
    return 0;
  }
  if (process.platform !== 'linux')
    throw new CannotMeasure('It reads processor time and memory from /proc, so it runs on Linux only.');

  const interrupted = new Promise<never>((_, reject) => {
    // A connection to a server that is being stopped, say: nothing may keep us from ending what was started.
    process.on('uncaughtException', reject);
    // Again and again: a second one must not end this process before what it has started.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => {
        tell('interrupted; everything is being stopped');
        reject(new CannotMeasure('Interrupted.'));
      });
  });
  interrupted.catch(() => {});

  const measuredOn = [new Date().toISOString().slice(0, 10), describeCode(), describeMachine()]
    .filter((part) => part !== undefined)
    .join('; ');
  console.log(measuredOn);

  let isWhole = true;
  const cannot = (line: string) => {
    isWhole = false;
    console.error(line);
  };
  const headlines: Headline[] = [];
  const publish = (section: Section) => {
    headlines.push(...section.headlines);
    console.log(`\n## ${section.title}\n\n${sectionText(section)}`);
    if (!wanted.write) return;
    const told = `Measured ${measuredOn}${section.servers === undefined ? '' : `; ${section.servers}`}.`;
    const figures = [summary(section.headlines), sectionText(section), told].join('\n\n');
    writeFileSync(PAGE, withFigures(readFileSync(PAGE, 'utf8'), section.name, figures));
  };
  const inWorkshop = async (measure: (workshop: Workshop) => Promise<Section[]>) => {
    const workshop = openWorkshop(join(ROOT, '.local'), tell);
    const measuring = measure(workshop);
    measuring.catch(() => {});
    try {
      for (const section of await Promise.race([measuring, interrupted])) publish(section);
    } finally {
      await workshop.close();
    }
  };

  if (only.has('gateway') || only.has('tracing'))
    await inWorkshop((workshop) => measureGateway(workshop, wanted, { tell, cannot }));
  if (only.has('latency') || only.has('throughput') || only.has('memory'))
    await inWorkshop((workshop) => measureOrders(workshop, wanted, tell));
  if (only.has('growth')) await inWorkshop((workshop) => measureGrowth(workshop, wanted, tell));

  if (headlines.length > 0) console.log(`\n## In short\n\n${summary(headlines)}`);
  return isWhole ? 0 : 2;
}

/** Beside the figures, which alone go to the standard output. */
function tell(line: string): void {
  console.error(`  ${new Date().toTimeString().slice(0, 8)} ${line}`);
}
