// The page at /api/docs: Swagger UI on the gateway's own document. Whoever logs in with it is logged in for the other calls as well.
/* global SwaggerUIBundle */
const EXAMPLE_KEY = 'c8a2f6d0-order-1';

/** The example key is good for one request; the next one gets its own. Whoever wants a repetition types a key. */
function giveKey(request) {
  if (request.headers['Idempotency-Key'] === EXAMPLE_KEY) {
    const random = crypto.getRandomValues(new Uint8Array(16));
    request.headers['Idempotency-Key'] = Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
  return request;
}

function keepToken(response) {
  const isLogin = /\/api\/v1\/auth\/(login|refresh)$/.test(response.url);
  if (isLogin && response.ok) ui.preauthorizeApiKey('accessToken', JSON.parse(response.text).accessToken);
  return response;
}

const ui = SwaggerUIBundle({
  url: '/api/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  requestInterceptor: giveKey,
  responseInterceptor: keepToken,
});
