// The URL table: what is called, the parameters it takes, the handler that answers.
import type { z } from 'zod';
import type { Answer } from '../answer.ts';
import type { Ledger } from '../data/ledger.ts';
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
export type Work = (ledger: Ledger) => Answer;

/** Checks a call's parameters and, if they are right, makes it ready. */
export type Prepare = (
  given: Record<string, unknown>,
  id: string,
) => { readonly work: Work } | { readonly refused: Answer };

const routes: ReadonlyMap<string, Prepare> = new Map([
  ['POST /v1/payment_intents', on(parameters.createPaymentIntentParameters, createPaymentIntent)],
  ['GET /v1/payment_intents/:id', on(parameters.noParameters, retrievePaymentIntent)],
  ['POST /v1/payment_intents/:id/confirm', on(parameters.confirmPaymentIntentParameters, confirmPaymentIntent)],
  ['POST /v1/payment_intents/:id/cancel', on(parameters.cancelPaymentIntentParameters, cancelPaymentIntent)],
  ['POST /v1/refunds', on(parameters.createRefundParameters, createRefund)],
  ['GET /v1/refunds', on(parameters.listRefundsParameters, listRefunds)],
  ['GET /v1/refunds/:id', on(parameters.noParameters, retrieveRefund)],
  ['GET /ledger', on(parameters.ledgerParameters, readLedger)],
]);

function on<S extends z.ZodType>(
  schema: S,
  handler: (command: z.output<S>, ledger: Ledger, id: string) => Answer,
): Prepare {
  return (given, id) => {
    const checked = parameters.checkParameters(schema, given);
    return 'refused' in checked ? checked : { work: (ledger) => handler(checked.parameters, ledger, id) };
  };
}

/** Finds the route of a call: its name, such as `POST /v1/payment_intents/:id/confirm`, the id in it, and what prepares it. */
export function findRoute(method: string, path: string): { name: string; id: string; prepare: Prepare } | undefined {
  const [, root = '', collection, id, ...rest] = path.split('/');
  const pattern = [root, collection, id && ':id', ...rest].filter((part) => part !== undefined).join('/');
  const name = `${method} /${pattern}`;
  const prepare = routes.get(name);
  return prepare && { name, id: id ?? '', prepare };
}
