// The URL table.
import { created, noContent, ok, type Route, route } from '@glasshouse/shared/http';
import type { Deps } from '../deps.ts';
import {
  notEnoughStock,
  productNotFound,
  reviewExists,
  reviewNotBought,
  staleVersion,
  tooMuchStock,
} from '../domain/errors.ts';
import { MAX_STOCK } from '../domain/product.ts';
import { changeStock } from '../handlers/change-stock.ts';
import { createProduct } from '../handlers/create-product.ts';
import { createReview } from '../handlers/create-review.ts';
import { deleteProduct } from '../handlers/delete-product.ts';
import { getCategories, getProduct, getProducts } from '../handlers/get-product.ts';
import { getReviews } from '../handlers/get-reviews.ts';
import { updateProduct } from '../handlers/update-product.ts';
import {
  categoryListSchema,
  changeStockBody,
  createProductBody,
  createReviewBody,
  listCategoriesQuery,
  listProductsQuery,
  listReviewsQuery,
  productListSchema,
  productSchema,
  reviewListSchema,
  reviewSchema,
  toProductJson,
  toReviewJson,
  updateProductBody,
} from './schemas.ts';

export const routes = (deps: Deps): Route[] => [
  route({
    method: 'get',
    path: '/v1/products',
    access: 'anyone',
    operationId: 'listProducts',
    summary: 'Search the catalogue',
    query: listProductsQuery,
    answers: { 200: productListSchema },
    async handle({ query }) {
      const { items, nextCursor } = await getProducts(query, deps);
      return ok({ items: items.map(toProductJson), nextCursor });
    },
  }),
  route({
    method: 'post',
    path: '/v1/products',
    access: 'admin',
    operationId: 'createProduct',
    summary: 'Add a product to the catalogue',
    body: createProductBody,
    answers: { 201: productSchema },
    async handle({ user: { userId }, body }) {
      const product = await deps.inTurn(() => createProduct({ ...body, userId }, deps));
      return created(toProductJson(product), `/api/v1/products/${product.id}`);
    },
  }),
  route({
    method: 'get',
    path: '/v1/products/:id',
    access: 'anyone',
    operationId: 'getProduct',
    summary: 'Get a product',
    answers: { 200: productSchema },
    problems: [productNotFound()],
    handle: async ({ params }) => ok(toProductJson(await getProduct({ productId: params.id }, deps))),
  }),
  route({
    method: 'patch',
    path: '/v1/products/:id',
    access: 'admin',
    operationId: 'updateProduct',
    summary: 'Change a product',
    body: updateProductBody,
    answers: { 200: productSchema },
    problems: [productNotFound(), staleVersion(4)],
    async handle({ params, body }) {
      const product = await deps.inTurn(() => updateProduct({ ...body, productId: params.id }, deps));
      return ok(toProductJson(product));
    },
  }),
  route({
    method: 'delete',
    path: '/v1/products/:id',
    access: 'admin',
    operationId: 'deleteProduct',
    summary: 'Take a product out of the catalogue',
    answers: { 204: null },
    problems: [productNotFound()],
    async handle({ params }) {
      await deps.inTurn(() => deleteProduct({ productId: params.id }, deps));
      return noContent();
    },
  }),
  route({
    method: 'post',
    path: '/v1/products/:id/stock',
    access: 'admin',
    operationId: 'changeStock',
    summary: 'Add or take away stock',
    body: changeStockBody,
    idempotent: true,
    answers: { 200: productSchema },
    problems: [productNotFound(), notEnoughStock(12), tooMuchStock(MAX_STOCK)],
    async handle({ user: { userId }, params, body, operation, idempotencyKey: key }) {
      const request = { userId, operation, key, body };
      const command = { ...body, userId, productId: params.id, request };
      return ok(toProductJson(await deps.inTurn(() => changeStock(command, deps))));
    },
  }),
  route({
    method: 'get',
    path: '/v1/products/:id/reviews',
    access: 'anyone',
    operationId: 'listReviews',
    summary: 'List the reviews of a product',
    query: listReviewsQuery,
    answers: { 200: reviewListSchema },
    problems: [productNotFound()],
    async handle({ params, query }) {
      const { items, nextCursor } = await getReviews({ ...query, productId: params.id }, deps);
      return ok({ items: items.map(toReviewJson), nextCursor });
    },
  }),
  route({
    method: 'post',
    path: '/v1/products/:id/reviews',
    access: 'user',
    operationId: 'createReview',
    summary: 'Review a product that you have bought',
    body: createReviewBody,
    answers: { 201: reviewSchema },
    problems: [productNotFound(), reviewNotBought(), reviewExists()],
    async handle({ user: { userId }, params, body }) {
      const review = await createReview({ ...body, userId, productId: params.id }, deps);
      return { status: 201, body: toReviewJson(review) };
    },
  }),
  route({
    method: 'get',
    path: '/v1/categories',
    access: 'anyone',
    operationId: 'listCategories',
    summary: 'List the categories',
    query: listCategoriesQuery,
    answers: { 200: categoryListSchema },
    handle: async ({ query }) => ok(await getCategories(query, deps)),
  }),
];
