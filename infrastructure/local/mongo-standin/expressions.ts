// The query language: mingo, with MongoDB's comparison order, its refusals of unknown operators, and no running of scripts.
import { Aggregator } from 'mingo/aggregator';
import { Context, evalExpr, ProcessingMode } from 'mingo/core';
import { Lazy } from 'mingo/lazy';
import * as accumulators from 'mingo/operators/accumulator';
import * as expressionOperators from 'mingo/operators/expression';
import * as pipelineOperators from 'mingo/operators/pipeline';
import * as projectionOperators from 'mingo/operators/projection';
import * as queryOperators from 'mingo/operators/query';
import { Query } from 'mingo/query';
import type { Options } from 'mingo/types';
import { CommandError, type ErrorName } from './errors.ts';
import { compareValues, type Doc, isDoc, sortDocs } from './order.ts';

export type Filter = (doc: Doc) => boolean;

const stages = new Set(
  '$match $group $sort $limit $skip $project $addFields $set $unset $unwind $count $lookup $facet $replaceRoot $replaceWith $sortByCount'.split(
    ' ',
  ),
);
export const updateStages = new Set('$set $addFields $unset $project $replaceRoot $replaceWith'.split(' '));

type Expression = (doc: unknown, args: unknown, options: Options) => unknown;

/** In an expression any two values compare, of whatever types; mingo finds no order between types. */
const comparison =
  (holds: (order: number) => unknown): Expression =>
  (doc, args, options) => {
    const [left, right] = evalExpr(doc, args, options) as unknown[];
    return holds(compareValues(left, right));
  };
const comparisons: Record<string, Expression> = {
  $cmp: comparison((order) => order),
  $eq: comparison((order) => order === 0),
  $ne: comparison((order) => order !== 0),
  $gt: comparison((order) => order > 0),
  $gte: comparison((order) => order >= 0),
  $lt: comparison((order) => order < 0),
  $lte: comparison((order) => order <= 0),
};

/** Date arithmetic on a missing date is null, not an error. */
const nullWithoutDate =
  (operator: Expression): Expression =>
  (doc, args, options) =>
    evalExpr(doc, (args as Doc).startDate, options) == null ? null : operator(doc, args, options);

const expressions: Record<string, Expression> = {
  ...(expressionOperators as unknown as Record<string, Expression>),
  ...comparisons,
  $dateAdd: nullWithoutDate(expressionOperators.$dateAdd as Expression),
  $dateSubtract: nullWithoutDate(expressionOperators.$dateSubtract as Expression),
};
for (const scripted of ['$function', '$where']) delete expressions[scripted];

const $sort: typeof pipelineOperators.$sort = (docs, spec) =>
  docs.transform((all) => Lazy(sortDocs(all as Doc[], spec as Doc)));

const context = Context.init({
  accumulator: { ...accumulators },
  expression: expressions as never,
  pipeline: { ...pipelineOperators, $sort },
  projection: { ...projectionOperators },
  query: { ...queryOperators },
});
/** For filters without expressions: mingo copies the whole context for every query, and the small one in an eighth of the time. */
const filterContext = Context.init({ query: { ...queryOperators } });

/** The values of `let` are expressions, which see no document. */
function options(variables: Doc): Partial<Options> {
  const plain = { context, scriptEnabled: false };
  return Object.keys(variables).length === 0
    ? plain
    : { ...plain, variables: evalExpr({}, variables, plain as Options) as Doc };
}

/** Turns what mingo throws into an answer; a TypeError there comes of arguments of a wrong shape, so it is the client's. */
function refusing<Result>(name: ErrorName, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(name, error instanceof Error ? error.message : String(error));
  }
}

/**
 * @param variables the command's `let`
 * @throws BadValue for an unknown operator
 */
export function compileFilter(filter: Doc, variables: Doc = {}): Filter {
  if (Object.keys(filter).length === 0) return () => true;
  const hasExpression = checkFilter(filter);
  const query = refusing(
    'BadValue',
    () => new Query(filter, hasExpression ? options(variables) : { context: filterContext, scriptEnabled: false }),
  );
  return (doc) => refusing('BadValue', () => query.test(doc));
}

/** @returns whether there is an expression in it */
function checkFilter(filter: Doc): boolean {
  let hasExpression = false;
  for (const [field, condition] of Object.entries(filter)) {
    if (field === '$expr') {
      hasExpression = true;
      checkExpression(condition);
    } else if (field === '$and' || field === '$or' || field === '$nor') {
      if (!Array.isArray(condition) || condition.length === 0)
        throw new CommandError('BadValue', `${field} must be a nonempty array`);
      for (const branch of condition) {
        if (!isDoc(branch)) throw new CommandError('BadValue', `${field} argument's entries must be objects`);
        if (checkFilter(branch)) hasExpression = true;
      }
    } else if (field.startsWith('$') && field !== '$comment') {
      throw new CommandError('BadValue', `unknown top level operator: ${field}`);
    } else if (isDoc(condition)) {
      const list = ['$in', '$nin', '$all'].find((name) => name in condition && !Array.isArray(condition[name]));
      if (list) throw new CommandError('BadValue', `${list} needs an array`);
    }
  }
  return hasExpression;
}

/** @throws InvalidPipelineOperator for an operator that no expression knows; MongoDB says so before it reads a document */
function checkExpression(expression: unknown): void {
  if (Array.isArray(expression)) for (const item of expression) checkExpression(item);
  if (!isDoc(expression)) return;
  for (const [name, argument] of Object.entries(expression)) {
    if (name === '$literal') continue;
    if (name.startsWith('$') && !(name in expressions) && !(name in accumulators) && !(name in projectionOperators)) {
      throw new CommandError('InvalidPipelineOperator', `Unrecognized expression '${name}'`);
    }
    if (name !== '$elemMatch') checkExpression(argument);
  }
}

/** `find`'s projection: fields to show or to leave out. */
export function project(docs: Doc[], projection: Doc, variables: Doc = {}): Doc[] {
  if (Object.keys(projection).length === 0) return docs;
  checkExpression(projection);
  return run(docs, [{ $project: projection }], variables);
}

/** @throws Location40324 for an unknown stage, Location40323 for one with several names */
export function checkPipeline(pipeline: Doc[], allowed: ReadonlySet<string> = stages): void {
  for (const stage of pipeline) {
    const [name, ...others] = isDoc(stage) ? Object.keys(stage) : [];
    if (name === undefined || others.length > 0) {
      throw new CommandError('Location40323', 'A pipeline stage specification object must contain exactly one field.');
    }
    const argument = stage[name];
    if (!stages.has(name)) throw new CommandError('Location40324', `Unrecognized pipeline stage name: '${name}'`);
    if (!allowed.has(name))
      throw new CommandError('InvalidOptions', `${name} is not allowed to be used within an update`);
    if (name === '$match') compileFilter(argument as Doc);
    else if (name === '$facet') for (const inner of Object.values(argument as Doc)) checkPipeline(inner as Doc[]);
    else if (name === '$lookup') checkPipeline(((argument as Doc).pipeline ?? []) as Doc[]);
    else checkExpression(argument);
  }
}

/**
 * Runs a checked pipeline.
 * @param resolve the documents of another collection, for `$lookup`
 */
export function run(docs: Doc[], pipeline: Doc[], variables: Doc, resolve?: (name: string) => Doc[]): Doc[] {
  if (pipeline.length === 0) return docs;
  // Stages that shape documents write into nested parts, and stored documents must stay as they are.
  const shapes = pipeline.some(
    (stage) => !['$match', '$group', '$count', '$sort', '$limit', '$skip'].includes(Object.keys(stage)[0] ?? ''),
  );
  const processingMode = shapes ? ProcessingMode.CLONE_INPUT : ProcessingMode.CLONE_OFF;
  return refusing('BadValue', () =>
    new Aggregator(pipeline, {
      ...options(variables),
      processingMode,
      ...(resolve && { collectionResolver: resolve }),
    }).run<Doc>(docs),
  );
}
