// Sessions: which transaction a statement belongs to, and the first answer to a retryable write, given again when it is repeated.
import type { Socket } from 'node:net';
import { Binary } from 'bson';
import { CommandError } from './errors.ts';
import { type Doc, isDoc } from './order.ts';
import type { Store, Transaction } from './store.ts';

export type Session = {
  lsid: string;
  /** The highest transaction number seen; -1 = none yet. */
  txnNumber: number;
  state: 'none' | 'open' | 'committed' | 'aborted';
  transaction?: Transaction | undefined;
  /** The socket that brought the transaction's latest statement. */
  socket?: Socket | undefined;
  timer?: NodeJS.Timeout | undefined;
  /** The answer to the retryable write `txnNumber`. */
  reply?: Doc | undefined;
  /** Settles when the statements that came before are done: a session does one thing at a time. */
  turn: Promise<unknown>;
};

export type Sessions = ReturnType<typeof createSessions>;

const sessionLifetimeMs = 30 * 60_000;

/** @param lifetimeSeconds after which an open transaction is aborted */
export function createSessions(store: Store, lifetimeSeconds: number, log: (message: string) => void) {
  const sessions = new Map<string, Session>();
  for (const { lsid, txnNumber, reply } of store.disk.sessions(Date.now() - sessionLifetimeMs)) {
    const state = reply.committed === true ? 'committed' : 'none';
    sessions.set(lsid, { lsid, txnNumber, state, turn: Promise.resolve(), ...(state === 'none' && { reply }) });
  }

  function end(session: Session, state: 'committed' | 'aborted'): void {
    clearTimeout(session.timer);
    session.transaction?.end();
    Object.assign(session, { state, transaction: undefined, socket: undefined, timer: undefined });
  }

  function abort(session: Session): void {
    if (session.state === 'open') end(session, 'aborted');
  }

  function start(session: Session, txnNumber: number): Transaction {
    abort(session);
    const transaction = store.beginTransaction();
    const timer = setTimeout(() => {
      log(`transaction ${txnNumber} of session ${session.lsid} was open for ${lifetimeSeconds} s and is aborted`);
      abort(session);
    }, lifetimeSeconds * 1000);
    timer.unref();
    Object.assign(session, { txnNumber, state: 'open', transaction, timer, reply: undefined });
    return transaction;
  }

  return {
    /** The session that a command names; made on first use. */
    of(command: Doc): Session | undefined {
      const lsid =
        isDoc(command.lsid) && command.lsid.id instanceof Binary ? command.lsid.id.toString('hex') : undefined;
      if (lsid === undefined) return undefined;
      const known = sessions.get(lsid);
      if (known) return known;
      const session: Session = { lsid, txnNumber: -1, state: 'none', turn: Promise.resolve() };
      sessions.set(lsid, session);
      return session;
    },

    /**
     * The transaction that a statement belongs to.
     * @throws NoSuchTransaction, TransactionTooOld, TransactionCommitted, ConflictingOperationInProgress
     */
    join(session: Session, command: Doc, socket: Socket): Transaction {
      const txnNumber = Number(command.txnNumber);
      assertNotTooOld(session, txnNumber);
      if (command.startTransaction === true) {
        if (txnNumber === session.txnNumber) {
          throw new CommandError(
            'ConflictingOperationInProgress',
            `Transaction ${txnNumber} on session ${session.lsid} was started before`,
          );
        }
        start(session, txnNumber);
      }
      if (session.txnNumber === txnNumber && session.state === 'committed') {
        throw new CommandError('TransactionCommitted', `Transaction ${txnNumber} has been committed`);
      }
      if (session.txnNumber !== txnNumber || !session.transaction) {
        const fate =
          session.txnNumber === txnNumber && session.state === 'aborted' ? 'has been aborted' : 'was never started';
        throw new CommandError('NoSuchTransaction', `Transaction ${txnNumber} ${fate}`);
      }
      session.socket = socket;
      return session.transaction;
    },

    /** Commits; a second commit of the same transaction, the first answer to which may have been lost, is answered alike. */
    commit(session: Session, command: Doc, socket: Socket): void {
      const txnNumber = Number(command.txnNumber);
      if (session.txnNumber === txnNumber && session.state === 'committed') return;
      this.join(session, command, socket).commit();
      store.disk.putSession({ lsid: session.lsid, txnNumber, reply: { committed: true } });
      end(session, 'committed');
    },

    abort,

    /** The answer that a retryable write was given before, if this is its repetition. */
    answered(session: Session, command: Doc): Doc | undefined {
      const txnNumber = Number(command.txnNumber);
      assertNotTooOld(session, txnNumber);
      if (session.txnNumber === txnNumber) {
        if (session.state !== 'none') {
          throw new CommandError(
            'ConflictingOperationInProgress',
            `Number ${txnNumber} on session ${session.lsid} belongs to a transaction`,
          );
        }
        return session.reply;
      }
      abort(session);
      Object.assign(session, { txnNumber, state: 'none', reply: undefined });
      return undefined;
    },

    remember(session: Session, reply: Doc): void {
      session.reply = reply;
      store.disk.putSession({ lsid: session.lsid, txnNumber: session.txnNumber, reply });
    },

    /** Ends sessions for good, with their open transactions. */
    forget(lsids: Binary[]): void {
      for (const lsid of lsids.map((id) => id.toString('hex'))) {
        const session = sessions.get(lsid);
        if (!session) continue;
        abort(session);
        sessions.delete(lsid);
        store.disk.deleteSession(lsid);
      }
    },

    /** A transaction ends with its socket. */
    socketClosed(socket: Socket): void {
      for (const session of sessions.values()) if (session.socket === socket) abort(session);
    },

    abortAll(): void {
      for (const session of sessions.values()) abort(session);
    },
  };
}

function assertNotTooOld(session: Session, txnNumber: number): void {
  if (txnNumber < session.txnNumber) {
    throw new CommandError(
      'TransactionTooOld',
      `Number ${txnNumber} is older than ${session.txnNumber}, the latest of session ${session.lsid}`,
    );
  }
}
