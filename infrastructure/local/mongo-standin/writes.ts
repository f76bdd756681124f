// The write commands: insert, update, delete and findAndModify.
import { ObjectId } from 'bson';
import { document, refuseUnsupported } from './arguments.ts';
import { docKey } from './collection.ts';
import type { Context } from './commands.ts';
import { CommandError, isTransient } from './errors.ts';
import { project } from './expressions.ts';
import type { Doc } from './order.ts';
import { findDocs } from './query.ts';
import { compileUpdate, isOperatorUpdate, type Update, upsertSeed } from './update.ts';

export function insert(command: Doc, context: Context): Doc {
  const ns = context.namespace(command.insert);
  let n = 0;
  const writeErrors = eachStatement(command, command.documents, (document) => {
    const doc = withId(document);
    context.unit.write(ns, docKey(doc), undefined, doc);
    n++;
  });
  return { n, ...writeErrors };
}

export function update(command: Doc, context: Context): Doc {
  const ns = context.namespace(command.update);
  const result = { n: 0, nModified: 0 };
  const upserted: Doc[] = [];
  const writeErrors = eachStatement(command, command.updates, (statement, index) => {
    const { u, c, multi = false, upsert = false, sort } = statement;
    refuseUnsupported(statement);
    if (multi === true && !isOperatorUpdate(u)) {
      throw new CommandError('FailedToParse', 'multi update is not supported for replacement-style update');
    }
    const variables = { ...document(command, 'let'), ...(c as Doc) };
    const apply = compileUpdate(u, variables);
    const docs = findDocs(context.unit.collection(ns), document(statement, 'q'), {
      limit: multi ? 0 : 1,
      variables,
      ...(sort ? { sort: sort as Doc } : {}),
    });
    for (const doc of docs) {
      result.n++;
      if (replace(context, ns, doc, apply) !== doc) result.nModified++;
    }
    if (docs.length === 0 && upsert === true) {
      upserted.push({ index, _id: insertFrom(context, ns, document(statement, 'q'), apply)._id });
      result.n++;
    }
  });
  return { ...result, ...(upserted.length > 0 && { upserted }), ...writeErrors };
}

export function remove(command: Doc, context: Context): Doc {
  const ns = context.namespace(command.delete);
  let n = 0;
  const writeErrors = eachStatement(command, command.deletes, (statement) => {
    refuseUnsupported(statement);
    const variables = document(command, 'let');
    for (const doc of findDocs(context.unit.collection(ns), document(statement, 'q'), {
      limit: Number(statement.limit),
      variables,
    })) {
      context.unit.write(ns, docKey(doc), doc, undefined);
      n++;
    }
  });
  return { n, ...writeErrors };
}

export function findAndModify(command: Doc, context: Context): Doc {
  refuseUnsupported(command);
  const ns = context.namespace(command.findAndModify ?? command.findandmodify);
  const { remove: removes = false, new: returnNew = false, upsert = false } = command;
  const query = document(command, 'query');
  const variables = document(command, 'let');
  if (removes === true && (command.update !== undefined || upsert === true || returnNew === true)) {
    throw new CommandError('FailedToParse', "Cannot specify 'update', 'upsert' or 'new' along with 'remove'");
  }
  const apply = removes === true ? undefined : compileUpdate(command.update, variables);
  const sort = command.sort ? { sort: command.sort as Doc } : {};
  const found = findDocs(context.unit.collection(ns), query, { limit: 1, variables, ...sort })[0];
  const show = (doc: Doc | undefined) =>
    doc ? (project([doc], document(command, 'fields'), variables)[0] ?? null) : null;

  if (!apply) {
    if (found) context.unit.write(ns, docKey(found), found, undefined);
    return { lastErrorObject: { n: found ? 1 : 0 }, value: show(found) };
  }
  if (found) {
    const next = replace(context, ns, found, apply);
    return { lastErrorObject: { n: 1, updatedExisting: true }, value: show(returnNew === true ? next : found) };
  }
  if (upsert !== true) return { lastErrorObject: { n: 0, updatedExisting: false }, value: null };
  const inserted = insertFrom(context, ns, query, apply);
  return {
    lastErrorObject: { n: 1, updatedExisting: false, upserted: inserted._id },
    value: show(returnNew === true ? inserted : undefined),
  };
}

function replace({ unit }: Context, ns: string, doc: Doc, apply: Update): Doc {
  const next = apply(doc, false);
  if (next !== doc) unit.write(ns, docKey(doc), doc, next);
  return next;
}

function insertFrom({ unit }: Context, ns: string, filter: Doc, apply: Update): Doc {
  const doc = withId(apply(upsertSeed(filter), true));
  unit.write(ns, docKey(doc), undefined, doc);
  return doc;
}

function withId(doc: Doc): Doc {
  const { _id = new ObjectId(), ...fields } = doc;
  if (Array.isArray(_id) || _id instanceof RegExp) {
    throw new CommandError('InvalidIdField', "The '_id' value cannot be an array or a regular expression");
  }
  return { _id, ...fields };
}

/** Runs each statement; one that is refused is reported by its index and, where the command is ordered, ends it. */
function eachStatement(command: Doc, statements: unknown, run: (statement: Doc, index: number) => void): Doc {
  if (!Array.isArray(statements) || statements.length === 0) {
    throw new CommandError('BadValue', 'Write batch sizes must be between 1 and 100000');
  }
  const writeErrors: Doc[] = [];
  for (const [index, statement] of statements.entries()) {
    try {
      run(statement, index);
    } catch (error) {
      // A conflict is the whole command's: in a transaction nothing of it may stay.
      if (!(error instanceof CommandError) || isTransient(error)) throw error;
      writeErrors.push({ index, code: error.code, errmsg: error.message, ...error.details });
      if (command.ordered !== false) break;
    }
  }
  return writeErrors.length > 0 ? { writeErrors } : {};
}
