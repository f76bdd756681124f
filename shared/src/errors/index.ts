// The one error class that handlers throw, and the one table that tells a message's fault from a passing one.

export type ErrorKind =
  | 'malformed'
  | 'invalid'
  | 'unauthenticated'
  | 'forbidden'
  | 'not-found'
  | 'conflict'
  | 'throttled'
  | 'unavailable';

export interface FieldProblem {
  path: string;
  message: string;
}

/** An outcome that the caller must hear of. The domain knows kinds; only the HTTP door knows status codes. */
export class AppError extends Error {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly errors: FieldProblem[] | undefined;
  /** Seconds after which trying again makes sense; only with `throttled` and `unavailable`. */
  readonly retryAfterS: number | undefined;

  constructor(
    kind: ErrorKind,
    code: string,
    message: string,
    options: { cause?: unknown; errors?: FieldProblem[]; retryAfterS?: number } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.kind = kind;
    this.code = code;
    this.errors = options.errors;
    this.retryAfterS = options.retryAfterS;
  }
}

/**
 * - `contention`: somebody else was faster; the same work done again at once will do.
 * - `dependency-down`: nothing is wrong with the work; wait until the database answers.
 * - `fault`: the work itself is at fault; trying it again is counted.
 */
export type FailureClass = 'contention' | 'dependency-down' | 'fault';

const systemErrors = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
]);

/** A certificate that has expired or is not the server's: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const tlsErrors = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_|ERR_SSL_)/;

/**
 * SQLSTATE: https://www.postgresql.org/docs/18/errcodes-appendix.html. 25P03 is our idle time-out. With 28 and 3D000 nobody is let in: a password
 * was changed, a database is being restored. A statement that is too slow (57014) is at fault itself.
 */
const postgresDown = /^(08...|28...|3D000|53...|57P..|25006|25P03|25P04|58...)$/;
/** `0A000` where a statement is prepared: a migration has changed a table under it, and on another connection it works. */
const postgresContention = new Set(['40001', '40P01', '55P03', '23505', '0A000']);
/** pg has no codes for what its client side finds. */
const postgresClientMessages =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Query read timeout|Cannot use a pool after calling end/;

/**
 * https://www.mongodb.com/docs/manual/reference/error-codes/: not primary, shutting down, just started and without a majority yet, host unreachable,
 * network time-out, exceeded time limit, authentication failed.
 */
const mongoDown = new Set([6, 7, 18, 50, 89, 91, 133, 134, 189, 262, 9001, 10058, 10107, 11600, 11602, 13435, 13436]);
/** WriteConflict, NoSuchTransaction, LockTimeout, duplicate key. */
const mongoContention = new Set([112, 251, 24, 11000]);
const mongoClientDown = new Set([
  'MongoNetworkError',
  'MongoNetworkTimeoutError',
  'MongoServerSelectionError',
  'MongoPoolClearedError',
  'MongoPoolClearedOnNetworkError',
  'MongoPoolClosedError',
  'MongoServerClosedError',
  'MongoWaitQueueTimeoutError',
  'MongoTopologyClosedError',
  'MongoNotConnectedError',
  'MongoClientClosedError',
]);

/**
 * Which of the three a failure is. A network error within a MongoDB transaction is labelled transient as well: it counts as down. That of a bulk
 * write has another error's name; the driver keeps the error itself in `errorResponse`, where for an answer of the server that answer is.
 */
export function classifyFailure(error: unknown): FailureClass {
  if (!(error instanceof Error)) return 'fault';
  const { code, name, errorResponse } = error as Error & { code?: unknown; errorResponse?: unknown };
  if (errorResponse instanceof Error) return classifyFailure(errorResponse);
  if (mongoClientDown.has(name)) return 'dependency-down';
  if (typeof code === 'number') {
    if (mongoDown.has(code)) return 'dependency-down';
    if (mongoContention.has(code)) return 'contention';
  }
  if (typeof code === 'string') {
    if (systemErrors.has(code) || tlsErrors.test(code) || postgresDown.test(code)) return 'dependency-down';
    if (postgresContention.has(code)) return 'contention';
  }
  if (postgresClientMessages.test(error.message)) return 'dependency-down';
  const labelled = error as Error & { hasErrorLabel?: (label: string) => boolean };
  if (labelled.hasErrorLabel?.('TransientTransactionError')) return 'contention';
  return error.cause === undefined ? 'fault' : classifyFailure(error.cause);
}

/** A duplicate key looks like contention once or twice; one that stays is a bug. */
export function isDuplicateKey(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === '23505' || code === 11000;
}
