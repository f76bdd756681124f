// The process of the demo's mail server.
import { parseArgs } from 'node:util';
import { SMTPServer } from 'smtp-server';
import { storeMail } from '../mailbox.ts';

const { values } = parseArgs({ options: { dir: { type: 'string' }, port: { type: 'string' } } });
const { dir, port } = values;
if (dir === undefined || port === undefined) {
  console.error('usage: smtp-sink-main.ts --dir <folder> --port <port>');
  process.exit(2);
}

const server = new SMTPServer({
  authOptional: true,
  disabledCommands: ['AUTH', 'STARTTLS'],
  disableReverseLookup: true,
  size: 10 * 1024 * 1024,
  rejectOversized: true,
  closeTimeout: 1_000,
  onData(stream, _session, callback) {
    // The answer (250) comes after the mail is on the disk: the sender then forgets it.
    Array.fromAsync(stream as AsyncIterable<Buffer>)
      .then((chunks) => storeMail(dir, Buffer.concat(chunks)))
      .then(
        (file) => callback(null, `kept as ${file}`),
        (error: Error) => callback(error),
      );
  },
});
server.on('error', (error) => console.error(error.message));
server.listen(Number(port), '127.0.0.1', () => console.log(`mail sink ready on 127.0.0.1:${port}`));

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => server.close(() => process.exit(0)));
}
