// Measures the platform against the bare floor that it stands on, both in the same run:
//   npm run bench                          everything, about half an hour
//   npm run bench -- --quick               a look, in two minutes
//   npm run bench -- --only c,d --runs 3   some of it
//   npm run bench -- --write               puts the figures into docs/performance.md
// The exit code is 0 where everything was measured, 2 where something could not be.
import { resolve } from 'node:path';
import { CannotMeasure, readArguments, USAGE } from './arguments.ts';
import { describeCode, describeMachine } from './machine.ts';
import { measureOrders } from './measure-orders.ts';
import { type Section, sectionText, summary } from './report.ts';
import { openWorkshop, type Workshop } from './workshop.ts';

const cacheDir = resolve(import.meta.dirname, '../../../.local');

const code = await main().catch((error) => {
  console.error(error instanceof CannotMeasure ? error.message : error);
  return 2;
});
// What was interrupted may still be waiting for answers.
process.exit(code);

async function main(): Promise<number> {
  const wanted = readArguments(process.argv.slice(2));
  if (wanted.help) {
    console.log(USAGE);
    return 0;
  }
  if (process.platform !== 'linux')
    throw new CannotMeasure('It reads processor time and memory from /proc, so it runs on Linux only.');

  const interrupted = new Promise<never>((_, reject) => {
    // Again and again: a second one must not end this process before what it has started.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => {
        tell('interrupted; everything is being stopped');
        reject(new CannotMeasure('Interrupted.'));
      });
  });
  interrupted.catch(() => {});

  const sections: Section[] = [];
  const inWorkshop = async (work: (workshop: Workshop) => Promise<Section[]>) => {
    const workshop = openWorkshop(cacheDir, tell);
    const measuring = work(workshop);
    measuring.catch(() => {});
    try {
      sections.push(...(await Promise.race([measuring, interrupted])));
    } finally {
      await workshop.close();
    }
  };

  console.log(`${describeMachine()}\n${describeCode() ?? ''}`);
  const { only } = wanted;
  if (only.has('latency') || only.has('throughput') || only.has('memory'))
    await inWorkshop((workshop) => measureOrders(workshop, wanted, tell));

  for (const section of sections) console.log(`\n${sectionText(section)}`);
  console.log(`\n## In short\n\n${summary(sections.flatMap(({ headlines }) => headlines))}`);
  return 0;
}

/** Beside the figures, which alone go to the standard output. */
function tell(line: string): void {
  console.error(`  ${new Date().toTimeString().slice(0, 8)} ${line}`);
}
