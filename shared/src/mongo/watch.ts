// What those who watch see of a command: a span and its duration, by https://opentelemetry.io/docs/specs/semconv/database/mongodb/. The driver tells
// of its commands where they are made, so that they belong to the work under way.
import type { CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent, MongoClient } from 'mongodb';
import { durationHistogram, errorTypeOf, failSpan, openStep, type Span, SpanKind } from '../telemetry/index.ts';

const recordOperation = durationHistogram('db.client.operation.duration', 'Duration of database client operations.');

interface Command {
  startedAt: number;
  span: Span | undefined;
}

/** The driver's own, beside the work: nobody waits for them. */
const ownCommands = new Set(['hello', 'isMaster', 'ismaster', 'ping', 'endSessions', 'killCursors']);

/** @param client with `monitorCommands` */
export function watchCommands(client: MongoClient): void {
  const commands = new Map<string, Command>();
  const keyOf = ({ address, requestId }: CommandStartedEvent | CommandSucceededEvent | CommandFailedEvent) =>
    `${address} ${requestId}`;
  client.on('commandStarted', (event) => {
    const { commandName: operation, command, databaseName } = event;
    if (ownCommands.has(operation)) return;
    const collection = command[operation];
    const named = typeof collection === 'string';
    // Of the command itself nothing is told: its values are part of it.
    const span = openStep({
      name: named ? `${operation} ${collection}` : operation,
      kind: SpanKind.CLIENT,
      attributes: {
        'db.system.name': 'mongodb',
        'db.operation.name': operation,
        'db.namespace': databaseName,
        ...(named && { 'db.collection.name': collection }),
      },
    });
    commands.set(keyOf(event), { startedAt: performance.now(), span });
  });
  const end = (event: CommandSucceededEvent | CommandFailedEvent, error?: Error) => {
    const key = keyOf(event);
    const command = commands.get(key);
    if (command === undefined) return;
    commands.delete(key);
    if (command.span !== undefined && error !== undefined) failSpan(command.span, error);
    command.span?.end();
    recordOperation((performance.now() - command.startedAt) / 1000, {
      'db.system.name': 'mongodb',
      'db.operation.name': event.commandName,
      ...(error && { 'error.type': errorTypeOf(error) }),
    });
  };
  client.on('commandSucceeded', (event) => end(event));
  client.on('commandFailed', (event) => end(event, event.failure));
}

/** @returns how many connections there are, and who waits for one */
export function countConnections(client: MongoClient): () => { idle: number; used: number; waiting: number } {
  let open = 0;
  let used = 0;
  let waiting = 0;
  client.on('connectionCreated', () => {
    open += 1;
  });
  client.on('connectionClosed', () => {
    open -= 1;
  });
  client.on('connectionCheckOutStarted', () => {
    waiting += 1;
  });
  client.on('connectionCheckOutFailed', () => {
    waiting -= 1;
  });
  client.on('connectionCheckedOut', () => {
    waiting -= 1;
    used += 1;
  });
  client.on('connectionCheckedIn', () => {
    used -= 1;
  });
  return () => ({ idle: open - used, used, waiting });
}
