// A MongoDB for demos and tests on machines that have none: the wire protocol, transactions and durability that the services rely on.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Binary, Long, ObjectId } from 'bson';
import { type Collection, docKey } from './collection.ts';
import { type Command, type Context, type Cursor, commands } from './commands.ts';
import { CommandError, isTransient, writeConflict } from './errors.ts';
import { type Doc, isDoc, valuesAt } from './order.ts';
import { createSessions, type Session } from './sessions.ts';
import { createClock, LockHeld, openStore, type Store, type Transaction } from './store.ts';
import { createFramer, decodeRequest, type Request } from './wire.ts';

export type MongoStandin = {
  url: string;
  port: number;
  /** Closes all connections, aborts open transactions and writes what is left. */
  stop(): Promise<void>;
};

export type MongoStandinOptions = {
  /** Where the data is kept; created if missing. */
  dir: string;
  /** 0 = any free one. */
  port?: number;
  transactionLifetimeLimitSeconds?: number;
  /** How long a transaction waits for another one, which has changed other documents, before it conflicts. */
  lockWaitMs?: number;
  /** How often documents past their TTL are removed. */
  ttlSweepSeconds?: number;
  log?(message: string): void;
};

/** Within a transaction nothing is read but its snapshot, for whose being on the disk its first statement has waited, and its own changes. */
const goesOn = (command: Doc): boolean =>
  command.autocommit === false && command.startTransaction !== true && !('commitTransaction' in command);

const cursorIdleMs = 10 * 60_000;
const retryableWrites = new Set(['insert', 'update', 'delete', 'findAndModify', 'findandmodify']);

/** @throws when another process serves `dir`, or the port is taken */
export async function startMongoStandin({
  dir,
  port = 0,
  transactionLifetimeLimitSeconds = 5,
  lockWaitMs = 250,
  ttlSweepSeconds = 60,
  log = () => {},
}: MongoStandinOptions): Promise<MongoStandin> {
  const store = openStore(dir);
  const sessions = createSessions(store, transactionLifetimeLimitSeconds, log);
  const clock = createClock();
  const cursors = new Map<number, Cursor>();
  const sockets = new Set<Socket>();
  const electionId = new ObjectId();
  let connections = 0;

  const server = createServer({ noDelay: true }, (socket) => {
    const connectionId = ++connections;
    sockets.add(socket);
    socket.on('close', () => {
      sockets.delete(socket);
      sessions.socketClosed(socket);
    });
    socket.on('error', () => {}); // 'close' follows
    const address = `${(socket.localAddress ?? '').replace('::ffff:', '')}:${socket.localPort}`;
    const framer = createFramer((message) => void serve(decodeRequest(message), socket, { address, connectionId }));
    socket.on('data', (chunk: Buffer) => {
      try {
        framer(chunk);
      } catch (error) {
        log(`connection ${connectionId} closed: ${error}`);
        socket.destroy();
      }
    });
  });

  async function serve(
    request: Request,
    socket: Socket,
    connection: { address: string; connectionId: number },
  ): Promise<void> {
    try {
      const answer = await answerTo(request.command, socket, connection);
      if (!goesOn(request.command)) await store.disk.durable();
      if (request.wantsAnswer && !socket.destroyed) socket.write(request.encodeAnswer(answer));
    } catch (error) {
      // Nothing can be promised any more, so nothing is answered.
      log(`connection ${connection.connectionId} closed: ${error}`);
      socket.destroy();
    }
  }

  async function answerTo(
    command: Doc,
    socket: Socket,
    connection: { address: string; connectionId: number },
  ): Promise<Doc> {
    if (isDoc(command.$clusterTime)) clock.witness(command.$clusterTime.clusterTime);
    const database = String(command.$db ?? 'admin');
    const context: Omit<Context, 'unit'> = {
      ...connection,
      store,
      cursors,
      electionId,
      database,
      namespace(collection) {
        if (typeof collection === 'string' && collection !== '') return `${database}.${collection}`;
        throw new CommandError('InvalidNamespace', 'collection name has invalid type or is empty');
      },
    };
    const answer = await run(command, context, socket).then((result) => ({ ...result, ok: 1 }), refusal);
    const clusterTime = clock.tick();
    const signature = { hash: new Binary(Buffer.alloc(20)), keyId: Long.ZERO };
    return { ...answer, $clusterTime: { clusterTime, signature }, operationTime: clusterTime };
  }

  async function run(command: Doc, context: Omit<Context, 'unit'>, socket: Socket): Promise<Doc> {
    const name = Object.keys(command)[0] ?? '';
    if (name === 'endSessions' || name === 'killSessions') {
      sessions.forget((command[name] as { id: Binary }[]).map(({ id }) => id));
      return {};
    }
    const session = sessions.of(command);
    if (!session || command.txnNumber === undefined) return direct(findCommand(name), command, context, socket);
    // A repeated statement may arrive while the first is still waiting for a lock.
    const turn = session.turn.then(() =>
      command.autocommit === false
        ? inTransaction(session, name, command, context, socket)
        : retryable(session, name, command, context, socket),
    );
    session.turn = turn.catch(() => {});
    return turn;
  }

  /** Outside a transaction: waits where one holds the lock. */
  async function direct(command: Command, body: Doc, context: Omit<Context, 'unit'>, socket: Socket): Promise<Doc> {
    const run = () => {
      if (socket.destroyed) throw new Error('the client has gone');
      return command.run(body, { ...context, unit: store.direct });
    };
    if (typeof body.maxTimeMS !== 'number' || body.maxTimeMS <= 0) return whenUnlocked(run);
    const orElse = () => new CommandError('MaxTimeMSExpired', 'operation exceeded time limit');
    return whenUnlocked(run, { withinMs: body.maxTimeMS, orElse });
  }

  /** Runs `work`, and again when a transaction has ended, until it meets no lock. */
  async function whenUnlocked<Result>(
    work: () => Result,
    limit?: { withinMs: number; orElse: () => CommandError },
  ): Promise<Result> {
    let timer: AbortController | undefined;
    let late: Promise<true> | undefined;
    try {
      for (let isLate = false; ; ) {
        try {
          return work();
        } catch (error) {
          if (!(error instanceof LockHeld)) throw error;
        }
        if (limit === undefined) {
          await store.lockReleased();
          continue;
        }
        if (isLate) throw limit.orElse();
        timer ??= new AbortController();
        late ??= delay(limit.withinMs, true, { ref: false, signal: timer.signal });
        isLate = await Promise.race([store.lockReleased().then(() => false), late]);
      }
    } finally {
      late?.catch(() => {});
      timer?.abort();
    }
  }

  async function retryable(
    session: Session,
    name: string,
    body: Doc,
    context: Omit<Context, 'unit'>,
    socket: Socket,
  ): Promise<Doc> {
    if (!retryableWrites.has(name)) throw new CommandError('CommandNotSupported', `${name} takes no txnNumber`);
    const first = sessions.answered(session, body);
    if (first) return first;
    const answer = await direct(findCommand(name), body, context, socket);
    // In the same turn as the write, so in the same SQLite transaction; where nothing was written, a repetition does no harm.
    if (store.disk.isDirty()) sessions.remember(session, answer);
    return answer;
  }

  async function inTransaction(
    session: Session,
    name: string,
    body: Doc,
    context: Omit<Context, 'unit'>,
    socket: Socket,
  ): Promise<Doc> {
    if (socket.destroyed) throw new Error('the client has gone');
    if (name === 'commitTransaction') {
      sessions.commit(session, body, socket);
      return {};
    }
    const transaction = sessions.join(session, body, socket);
    try {
      if (name === 'abortTransaction') {
        sessions.abort(session);
        return {};
      }
      const answer = await withLock(session, transaction, () => runInside(transaction, name, body, context));
      // A statement that fails ends its transaction, also where others of its command were carried out.
      if ('writeErrors' in answer) sessions.abort(session);
      return answer;
    } catch (error) {
      sessions.abort(session);
      throw error;
    }
  }

  /**
   * Waits where another transaction holds the lock: that they change different documents is no conflict. Not for long, for the other one may wait
   * for its client.
   */
  function withLock(session: Session, transaction: Transaction, work: () => Doc): Promise<Doc> {
    const run = () => {
      if (session.transaction === transaction) return work();
      throw new CommandError('NoSuchTransaction', `Transaction ${session.txnNumber} has been aborted`);
    };
    return whenUnlocked(run, { withinMs: lockWaitMs, orElse: writeConflict });
  }

  function runInside(transaction: Transaction, name: string, body: Doc, context: Omit<Context, 'unit'>): Doc {
    const command = findCommand(name);
    if (!command.inTransaction) {
      throw new CommandError(
        'OperationNotSupportedInTransaction',
        `Cannot run '${name}' in a multi-document transaction.`,
      );
    }
    return command.run(body, { ...context, unit: transaction.unit });
  }

  async function sweep(): Promise<void> {
    for (const [id, { usedAt }] of cursors) if (usedAt < Date.now() - cursorIdleMs) cursors.delete(id);
    for (const collection of store.collections.values()) await whenUnlocked(() => removeExpired(store, collection));
  }

  let sweeping = Promise.resolve();
  const sweeps = setInterval(() => {
    sweeping = sweeping.then(sweep).catch((error) => log(`sweep failed: ${error}`));
  }, ttlSweepSeconds * 1000);
  sweeps.unref();

  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch (error) {
    clearInterval(sweeps);
    await store.disk.close();
    throw error;
  }
  const bound = (server.address() as AddressInfo).port;
  log(`serving ${dir} on 127.0.0.1:${bound}`);

  return {
    url: `mongodb://127.0.0.1:${bound}/?replicaSet=rs0`,
    port: bound,
    async stop() {
      clearInterval(sweeps);
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
      sessions.abortAll();
      await sweeping;
      await store.disk.close();
    },
  };
}

/** Removes what is older than a TTL index says; an array by its earliest date. */
function removeExpired(store: Store, collection: Collection): void {
  if (store.collections.get(collection.ns) !== collection) return; // dropped in the meantime
  for (const { spec, covers } of collection.indexes) {
    const field = Object.keys(spec.key)[0];
    if (spec.expireAfterSeconds === undefined || field === undefined) continue;
    const limit = Date.now() - spec.expireAfterSeconds * 1000;
    const isExpired = (value: unknown) => value instanceof Date && value.getTime() <= limit;
    const expired = [...collection.docs.values()].filter(
      (doc) => covers(doc) && valuesAt(doc, field).flat().some(isExpired),
    );
    for (const doc of expired) store.direct.write(collection.ns, docKey(doc), doc, undefined);
  }
}

function findCommand(name: string): Command {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command) return command;
  throw new CommandError('CommandNotFound', `no such command: '${name}'`);
}

function refusal(error: unknown): Doc {
  if (!(error instanceof CommandError)) throw error;
  const { code, codeName, message, details } = error;
  return {
    ok: 0,
    errmsg: message,
    code,
    codeName,
    ...(isTransient(error) && { errorLabels: ['TransientTransactionError'] }),
    ...details,
  };
}
