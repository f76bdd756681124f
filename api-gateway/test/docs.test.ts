// GET /api/openapi.json and GET /api/docs: the document is there, and the page needs nothing from any other server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { assertProblem, rawBytes, startPlatform, type TestPlatform } from './harness.ts';

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

test('GET /api/docs: compressed where the client can read that, and the same bytes where it can not', async () => {
  for (const [path, type] of [
    ['/api/openapi.json', 'application/json; charset=utf-8'],
    ['/api/docs/swagger-ui-bundle.js', 'text/javascript; charset=utf-8'],
  ] as const) {
    const get = (headers: Record<string, string>) => rawBytes(platform.gateway.port, path, headers);
    const zipped = await get({ 'accept-encoding': 'gzip, deflate, br' });
    const plain = await get({});
    assert.equal(zipped.headers['content-encoding'], 'gzip');
    assert.equal(plain.headers['content-encoding'], undefined);
    for (const { headers } of [zipped, plain]) {
      assert.equal(headers['content-type'], type);
      assert.equal(headers['cache-control'], 'public, max-age=300');
      assert.match(headers.vary ?? '', /accept-encoding/i);
    }
    assert.ok(plain.body.equals(gunzipSync(zipped.body)));
    assert.ok(zipped.body.length < plain.body.length / 2);
  }
});

test('GET /api/docs: a part of a file can not be had: the whole comes, and can be read', async () => {
  const { headers, body } = await rawBytes(platform.gateway.port, '/api/docs/swagger-ui-bundle.js', {
    'accept-encoding': 'gzip',
    range: 'bytes=1000-50000',
  });
  assert.equal(headers['content-range'], undefined);
  assert.equal(headers['accept-ranges'], undefined);
  assert.ok(gunzipSync(body).length > 1_000_000);
});
