// The errors a client sees, under MongoDB's own codes and names, so that drivers and services treat them as they treat the server's.

/** Codes from MongoDB's error_codes.yml; a code that has no name there is `Location<code>`. */
const codes = {
  BadValue: 2,
  FailedToParse: 9,
  TypeMismatch: 14,
  NamespaceNotFound: 26,
  IndexNotFound: 27,
  PathNotViable: 28,
  ConflictingUpdateOperators: 40,
  CursorNotFound: 43,
  MaxTimeMSExpired: 50,
  InvalidIdField: 53,
  CommandNotFound: 59,
  ImmutableField: 66,
  CannotCreateIndex: 67,
  InvalidOptions: 72,
  InvalidNamespace: 73,
  IndexOptionsConflict: 85,
  IndexKeySpecsConflict: 86,
  WriteConflict: 112,
  CommandNotSupported: 115,
  ConflictingOperationInProgress: 117,
  InvalidPipelineOperator: 168,
  TransactionTooOld: 225,
  NoSuchTransaction: 251,
  TransactionCommitted: 256,
  OperationNotSupportedInTransaction: 263,
  BSONObjectTooLarge: 10334,
  DuplicateKey: 11000,
  Location40323: 40323,
  Location40324: 40324,
  Location40415: 40415,
} as const;

export type ErrorName = keyof typeof codes;

/** A refusal that is sent to the client; `details` are further fields of the answer (`keyPattern`, `keyValue`). */
export class CommandError extends Error {
  readonly code: number;
  readonly codeName: ErrorName;
  readonly details: Record<string, unknown>;

  constructor(codeName: ErrorName, message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.code = codes[codeName];
    this.codeName = codeName;
    this.details = details;
  }
}

export function writeConflict(): CommandError {
  return new CommandError(
    'WriteConflict',
    'Write conflict: the document or the write lock belongs to another transaction.',
  );
}

/** The client may repeat the whole transaction: nothing of it was kept. */
export function isTransient(error: CommandError): boolean {
  return error.codeName === 'WriteConflict' || error.codeName === 'NoSuchTransaction';
}
