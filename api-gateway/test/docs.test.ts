// GET /api/openapi.json and GET /api/docs: the document is there, and the page needs nothing from any other server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertProblem, startPlatform, type TestPlatform } from './harness.ts';

let platform: TestPlatform;
before(async () => {
  platform = await startPlatform();
});
after(() => platform.stop());

test('GET /api/openapi.json: is the whole API, by the specification 3.1, and says no other server', async () => {
  const { status, headers, body } = await platform.gateway.call('GET', '/api/openapi.json');
  assert.equal(status, 200);
  assert.equal(headers.get('content-type'), 'application/json; charset=utf-8');
  assert.match(body.openapi, /^3\.1\./);
  assert.deepEqual(
    body.servers.map(({ url }: { url: string }) => url),
    ['/'],
  );
  for (const path of ['/api/v1/orders', '/api/v1/products/{id}', '/.well-known/jwks.json'])
    assert.ok(path in body.paths, path);
});

test('GET /api/docs: the page and all that it loads come from here, and its policy allows nothing else', async () => {
  const page = await platform.gateway.call('GET', '/api/docs');
  assert.equal(page.status, 200);
  assert.match(page.headers.get('content-type') ?? '', /^text\/html/);
  assert.match(page.headers.get('content-security-policy') ?? '', /^default-src 'self';/);
  const loaded = [...String(page.body).matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url = '']) => url);
  assert.ok(loaded.length >= 3);
  for (const url of loaded) {
    assert.match(url, /^\/api\/docs\//);
    assert.equal((await platform.gateway.call('GET', url)).status, 200, url);
  }
});

test('GET /api/docs: another method is a 405, and what is not there a 404, as problems', async () => {
  const wrong = await platform.gateway.call('POST', '/api/docs');
  assertProblem(wrong, 405, 'method.not-allowed', '/api/docs');
  assert.equal(wrong.headers.get('allow'), 'GET, HEAD');
  assertProblem(
    await platform.gateway.call('GET', '/api/docs/package.json'),
    404,
    'route.not-found',
    '/api/docs/package.json',
  );
});
