// The URL table: what is called, the parameters it takes, the handler that answers.
import type { z } from 'zod';
import type { Answer } from '../answer.ts';
import type { Deps } from '../deps.ts';
import type { CallName } from '../domain/mood.ts';
import { addMood, listMoods, removeMood, removeMoods } from '../handlers/moods.ts';
import {
  cancelPaymentIntent,
  confirmPaymentIntent,
  createPaymentIntent,
  retrievePaymentIntent,
} from '../handlers/payment-intents.ts';
import { readLedger } from '../handlers/read-ledger.ts';
import { createRefund, listRefunds, retrieveRefund } from '../handlers/refunds.ts';
import * as parameters from './parameters.ts';

/** A call whose parameters are right, ready to be carried out. */
export type Work = (deps: Deps) => Answer;

/** Checks a call's parameters and, if they are right, makes it ready. */
export type Prepare = (
  given: Record<string, unknown>,
  id: string,
) => { readonly work: Work } | { readonly refused: Answer };

type Route = { readonly prepare: Prepare; readonly call?: CallName };

const routes: ReadonlyMap<string, Route> = new Map<string, Route>([
  [
    'POST /v1/payment_intents',
    { call: 'create', prepare: on(parameters.createPaymentIntentParameters, createPaymentIntent) },
  ],
  ['GET /v1/payment_intents/:id', { call: 'retrieve', prepare: on(parameters.noParameters, retrievePaymentIntent) }],
  [
    'POST /v1/payment_intents/:id/confirm',
    { call: 'confirm', prepare: on(parameters.confirmPaymentIntentParameters, confirmPaymentIntent) },
  ],
  [
    'POST /v1/payment_intents/:id/cancel',
    { call: 'cancel', prepare: on(parameters.cancelPaymentIntentParameters, cancelPaymentIntent) },
  ],
  ['POST /v1/refunds', { call: 'refund', prepare: on(parameters.createRefundParameters, createRefund) }],
  ['GET /v1/refunds', { call: 'list-refunds', prepare: on(parameters.listRefundsParameters, listRefunds) }],
  ['GET /v1/refunds/:id', { call: 'retrieve', prepare: on(parameters.noParameters, retrieveRefund) }],
  ['GET /ledger', { prepare: on(parameters.ledgerParameters, readLedger) }],
  ['POST /moods', { prepare: on(parameters.moodParameters, addMood) }],
  ['GET /moods', { prepare: on(parameters.noParameters, listMoods) }],
  ['DELETE /moods', { prepare: on(parameters.noParameters, removeMoods) }],
  ['DELETE /moods/:id', { prepare: on(parameters.noParameters, removeMood) }],
]);

function on<S extends z.ZodType>(
  schema: S,
  handler: (command: z.output<S>, deps: Deps, id: string) => Answer,
): Prepare {
  return (given, id) => {
    const checked = parameters.checkParameters(schema, given);
    return 'refused' in checked ? checked : { work: (deps) => handler(checked.parameters, deps, id) };
  };
}

/** Finds the route of a call: its name, such as `POST /v1/payment_intents/:id/confirm`, the id in it, and what prepares it. */
export function findRoute(
  method: string,
  path: string,
): { name: string; id: string; call: CallName | undefined; prepare: Prepare } | undefined {
  const [, collection = path, id = '', rest = ''] = /^(\/v1\/\w+|\/moods)\/([^/]+)(.*)$/.exec(path) ?? [];
  const name = `${method} ${id === '' ? path : `${collection}/:id${rest}`}`;
  const route = routes.get(name);
  return route && { name, id, call: route.call, prepare: route.prepare };
}
