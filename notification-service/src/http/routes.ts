// The URL table.
import { ok, type Route, route } from '@glasshouse/shared/http';
import type { Deps } from '../deps.ts';
import { getMails } from '../handlers/get-mails.ts';
import { listMailsQuery, mailListSchema, toMailJson } from './schemas.ts';

export const routes = (deps: Pick<Deps, 'db'>): Route[] => [
  route({
    method: 'get',
    path: '/v1/notifications',
    access: 'user',
    operationId: 'listMails',
    summary: 'List mails to customers, newest first',
    query: listMailsQuery,
    answers: { 200: mailListSchema },
    async handle({ user, query }) {
      const { items, nextCursor } = await getMails({ ...query, user }, deps);
      return ok({ items: items.map(toMailJson), nextCursor });
    },
  }),
];
