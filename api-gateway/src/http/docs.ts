// The API document, and a page to read and try it: Swagger UI, with all that it needs from this server.
import { join } from 'node:path';
import { mountRows } from '@glasshouse/shared/http';
import type { Express, RequestHandler } from 'express';
import { getAbsoluteFSPath } from 'swagger-ui-dist';

const here = join(import.meta.dirname, '../..');
const swaggerDir = getAbsoluteFSPath();

const files = [
  // Made by `npm run generate` from the routes of all services.
  { path: '/api/openapi.json', file: join(here, 'openapi.json') },
  { path: '/api/docs', file: join(here, 'docs-page/index.html') },
  { path: '/api/docs/page.js', file: join(here, 'docs-page/page.js') },
  ...['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'].map((name) => ({
    path: `/api/docs/${name}`,
    file: join(swaggerDir, name),
  })),
].map((row) => ({ ...row, method: 'get' as const }));

const headers = {
  'Cache-Control': 'public, max-age=300',
  // Nothing from elsewhere, and in nobody's frame. Swagger UI styles its elements in place, and draws its icons from data URLs.
  'Content-Security-Policy':
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
};

/** Mounts `GET /api/openapi.json` and `GET /api/docs`: the largest answers that there are, so `compress` comes before each. */
export function mountDocs(app: Express, compress: RequestHandler): void {
  mountRows(app, files, ({ file }) => [
    compress,
    // The folder that all this lies in may well have a name that begins with a dot.
    (_request, response) => response.sendFile(file, { headers, cacheControl: false, dotfiles: 'allow' }),
  ]);
}
