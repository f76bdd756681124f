// The API document, and a page to read and try it: Swagger UI, with all that it needs from this server.
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { mountRows } from '@glasshouse/shared/http';
import type { Express, RequestHandler } from 'express';

const here = join(import.meta.dirname, '../..');
const compress = promisify(gzip);

const files = [
  // Made by `npm run generate` from the routes of all services.
  { path: '/api/openapi.json', file: join(here, 'openapi.json') },
  { path: '/api/docs', file: join(here, 'docs-page/index.html') },
  { path: '/api/docs/page.js', file: join(here, 'docs-page/page.js') },
  ...['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'].map((name) => ({
    path: `/api/docs/${name}`,
    // Found, not imported: the package would run all of itself, which is for browsers.
    file: fileURLToPath(import.meta.resolve(`swagger-ui-dist/${name}`)),
  })),
].map((row) => ({ ...row, method: 'get' as const }));

const headers = {
  'Cache-Control': 'public, max-age=300',
  // Nothing from elsewhere, and in nobody's frame. Swagger UI styles its elements in place, and draws its icons from data URLs.
  'Content-Security-Policy':
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
};

/** A file as it is sent: read and compressed at its first answer, so that each further one costs no more than its bytes. */
function createPage(file: string) {
  let loaded: Promise<{ plain: Buffer; zipped: Buffer }> | undefined;
  const load = async () => {
    const plain = await readFile(file);
    return { plain, zipped: await compress(plain) };
  };
  return {
    type: extname(file),
    content() {
      loaded ??= load().catch((error) => {
        // Another time it may be read.
        loaded = undefined;
        throw error;
      });
      return loaded;
    },
  };
}

/**
 * Mounts `GET /api/openapi.json` and `GET /api/docs`: the largest answers that there are.
 * @param limit counts before each
 */
export function mountDocs(app: Express, limit: RequestHandler[]): void {
  mountRows(app, files, ({ file }) => {
    const { type, content } = createPage(file);
    return [
      ...limit,
      async (request, response) => {
        const { plain, zipped } = await content();
        response.set(headers).vary('Accept-Encoding').type(type);
        if (request.acceptsEncodings('gzip', 'identity') === 'gzip')
          response.set('Content-Encoding', 'gzip').send(zipped);
        else response.send(plain);
      },
    ];
  });
}
