// The command. Exit code 0 where it is done, 1 where no such message is parked, 2 where it can't be done.
//   npm run dead-letters                                  what is parked, a line each
//   npm run dead-letters -- show <id>                     all about one
//   npm run dead-letters -- redrive <id> | --all          back to the queue of the service that could not handle it
//   npm run dead-letters -- drop <id> | --all --service <service>
import { parseArgs } from 'node:util';
import { ConfigError } from '@glasshouse/shared/config';
import type { ServiceName } from '@glasshouse/shared/contracts';
import { consumingServices, queueOf } from '@glasshouse/shared/event-bus';
import { loadConfig, readEnvironment } from './config.ts';
import { type DeadQueues, type Taken, Unreachable, withDeadQueues } from './dead-queues.ts';
import { asDetails, asJson, asJsonLine, asJsonList, asList } from './report.ts';

class UsageError extends Error {
  override name = 'UsageError';
}

interface Command {
  name: 'list' | 'show' | 'redrive' | 'drop';
  /** All, where there is none. */
  id: string | undefined;
  services: readonly ServiceName[];
  json: boolean;
}

/** @throws UsageError, or what `parseArgs` throws */
function readCommand(args: string[]): Command {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { all: { type: 'boolean', default: false }, service: { type: 'string' }, json: { type: 'boolean' } },
  });
  const [name = 'list', id, ...rest] = positionals;
  const { all, service, json = false } = values;
  if (name !== 'list' && name !== 'show' && name !== 'redrive' && name !== 'drop')
    throw new UsageError(`Unknown command ${name}: there are list, show, redrive and drop.`);
  const surplus = name === 'list' ? id : rest[0];
  if (surplus !== undefined) throw new UsageError(`Unknown argument: ${surplus}`);
  if (name === 'show' && id === undefined) throw new UsageError('show needs the id of a message.');
  if ((name === 'redrive' || name === 'drop') && (id !== undefined) === all)
    throw new UsageError(`${name} needs the id of a message, or --all: npm run dead-letters -- ${name} --all`);
  if (name === 'drop' && all && service === undefined) throw new UsageError('drop --all needs --service as well.');
  const services = consumingServices.filter((one) => service === undefined || one === service);
  if (services.length === 0)
    throw new UsageError(`Unknown service ${service}: queues have ${consumingServices.join(', ')}.`);
  return { name, id, services, json };
}

/** Resolves when the line is out. */
const print = (line: string) =>
  new Promise<void>((resolve, reject) => {
    process.stdout.write(`${line}\n`, (error) => (error ? reject(error) : resolve()));
  });

async function takeWanted(queues: DeadQueues, { id, services }: Command): Promise<Taken[]> {
  const wanted: Taken[] = [];
  for (const service of services)
    wanted.push(...(await queues.take(service)).filter(({ letter }) => id === undefined || letter.id === id));
  return wanted;
}

/** @returns the exit code */
async function run(command: Command, queues: DeadQueues): Promise<number> {
  const { name, id, json } = command;
  const wanted = await takeWanted(queues, command);
  const letters = wanted.map(({ letter }) => letter);
  if (id !== undefined && wanted.length === 0) {
    console.error(`No message ${id} is parked.`);
    return 1;
  }
  switch (name) {
    case 'list':
      await print(json ? asJsonList(letters) : asList(letters, process.stdout.columns));
      break;
    case 'show':
      await print(json ? asJson(letters) : letters.map(asDetails).join('\n\n'));
      break;
    case 'redrive':
      for (const taken of wanted) {
        await queues.redrive(taken);
        await print(`${taken.letter.id} is back in ${queueOf(taken.letter.service)}.`);
      }
      break;
    case 'drop':
      for (const taken of wanted) {
        // What nobody has read is not dropped.
        await print(asJsonLine(taken.letter));
        queues.drop(taken);
      }
      break;
  }
  if (wanted.length === 0 && name !== 'list') console.error('No message is parked.');
  return 0;
}

// A reader that goes away makes `print` fail.
process.stdout.on('error', () => {});
try {
  const command = readCommand(process.argv.slice(2));
  const { DEAD_LETTERS_RABBITMQ_URL: url } = loadConfig(readEnvironment());
  process.exitCode = await withDeadQueues(url, (queues) => run(command, queues));
} catch (error) {
  const { message, code } = error as NodeJS.ErrnoException;
  const isWrongArgument = code?.startsWith('ERR_PARSE_ARGS') === true;
  const isExpected = error instanceof ConfigError || error instanceof Unreachable || error instanceof UsageError;
  if (isWrongArgument) console.error(message.split('. ')[0]);
  else console.error(isExpected ? message : error);
  process.exitCode = 2;
}
// Without it the socket of a publishing connection would keep us until a broker that takes no messages does again, and reads its end.
process.exit();
