// The contract is true: no answer is unlike the OpenAPI document (test/support/contract-watch.ts), and the document promises none that no test has seen.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { waitFor } from '@glasshouse/shared/testing';
import { answersOf, createContractCheck, readDocument } from './support/contract-check.ts';

const document = readDocument();
const contract = createContractCheck(document);

const placed = contract.find('POST', '/api/v1/orders');
const example = document.paths['/api/v1/orders']?.post?.responses[201]?.content?.['application/json']?.example;

test('the check finds the operation of a request, inside and outside, and none where there is none', () => {
  const ids = [
    ['GET', '/api/v1/orders/019c0f40-1be2-7f5d-8a77-0d9e6c3b4a10/timeline'],
    ['GET', '/v1/orders/019c0f40-1be2-7f5d-8a77-0d9e6c3b4a10'],
    ['GET', '/v1/users/me'],
    ['HEAD', '/.well-known/jwks.json'],
    ['PUT', '/v1/orders'],
    ['GET', '/v1/payment_intents'],
  ].map(([method = '', path = '']) => contract.find(method, path)?.operationId);
  assert.deepEqual(ids, ['getTimeline', 'getOrder', 'getMyProfile', 'getPublicKeys', undefined, undefined]);
});

test('the check lets through what is as the document says, and nothing else', () => {
  assert.ok(placed !== undefined && typeof example === 'object');
  const check = (status: number, body: object, type = 'application/json; charset=utf-8', more: object = {}) =>
    contract.check(placed, {
      status,
      headers: new Headers({ 'content-type': type, ...more }),
      text: JSON.stringify(body),
    });
  check(201, example as object);
  assert.throws(() => check(200, example as object), /there is no such answer/);
  assert.throws(() => check(201, { ...example, total: '98.00 USD' }), /total must be object/);
  assert.throws(() => check(201, { ...example, margin: 3 }), /additional properties/);
  assert.throws(() => check(201, example as object, 'text/plain'), /the body is not text\/plain/);
  const problem = document.components.examples['order.price-changed']?.value as object;
  check(409, problem, 'application/problem+json');
  assert.throws(() => check(409, problem), /the body is not application\/json/);
  assert.throws(() => check(409, { ...problem, code: 'order.gone' }, 'application/problem+json'), /no order.gone/);
  const limited = document.components.examples['rate-limit.exceeded']?.value as object;
  const refuse = (headers: object) => check(429, limited, 'application/problem+json', headers);
  refuse({ 'retry-after': '7' });
  assert.throws(() => refuse({}), /Retry-After is missing/);
  assert.throws(() => refuse({ 'retry-after': 'soon' }), /Retry-After is no number/);
});

test('the document names the headers that a client needs: where what was made is, when to try again, how old a copy is', () => {
  const headersOf = (method: string, path: string, status: number) =>
    Object.keys(contract.find(method, path)?.responses[status]?.headers ?? {});
  assert.deepEqual(headersOf('POST', '/api/v1/orders', 201), ['Location']);
  for (const status of [429, 503]) assert.deepEqual(headersOf('POST', '/api/v1/orders', status), ['Retry-After']);
  assert.deepEqual(headersOf('GET', '/api/v1/products', 200), ['Age']);
  assert.deepEqual(headersOf('GET', '/api/v1/orders', 200), []);
});

test('a whole run has seen every answer that the document promises', { timeout: 1_200_000 }, async (t) => {
  const { CONTRACT_SEEN_FILE: seenFile = '', CONTRACT_ALL_DONE_FILE: allDoneFile } = process.env;
  if (allDoneFile === undefined) {
    t.diagnostic('only a whole run (`npm test`) can tell');
    return;
  }
  await waitFor('all other files have run', () => existsSync(allDoneFile), 1_200_000, 200);
  const seen = new Set(readFileSync(seenFile, 'utf8').split('\n'));
  const never = answersOf(document).filter((answer) => !seen.has(answer));
  assert.deepEqual(never, []);
});
