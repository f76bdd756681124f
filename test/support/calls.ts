// Every operation of the gateway's document as a call that can be made: with which ids and which body, and what comes of it, by who calls.
import { randomUUID } from 'node:crypto';
import { type Operation, templateOf } from '@glasshouse/shared/http';
import { createClient, type Reply, waitFor } from '@glasshouse/shared/testing';
import { MongoClient } from 'mongodb';
import { routes } from '../../api-gateway/src/http/routes.ts';
import type { Platform } from '../../infrastructure/local/src/platform.ts';
import { readDocument } from './contract-check.ts';
import { address, type Customer, createShop } from './shop.ts';

export const document = readDocument();

export interface Call {
  operation: Operation;
  method: string;
  /** The path as the document has it. */
  template: string;
  /** Which service answers; undefined where it is the gateway itself. */
  service: string | undefined;
  /** Whether it is called without a token. */
  isOpen: boolean;
}

export const calls: Call[] = Object.entries(document.paths).flatMap(([template, item]) =>
  Object.entries(item).map(([method, operation]) => {
    const route = routes.find((row) => row.method === method && templateOf(row.path) === template);
    return {
      operation,
      method: method.toUpperCase(),
      template,
      service: route?.upstream,
      isOpen: operation.security === undefined,
    };
  }),
);

/** What a call is made with; the rest follows from the document. */
export interface Request {
  id?: string;
  query?: Record<string, string>;
  body?: unknown;
}

export type Actor = 'other' | 'owner' | 'admin';

export interface Row extends Record<Actor, number> {
  /** Makes the request, with a resource of the owner's that no call has changed yet. */
  prepare(world: World): Promise<Request> | Request;
  /** Fails where an answer shows what is not for `actor` to see. */
  shows?(body: Reply['body'], actor: Actor, world: World): boolean;
}

type Prepare = Row['prepare'];
type Shows = Row['shows'];

const everybody = (status: number, prepare: Prepare = () => ({}), shows?: Shows): Row => ({
  prepare,
  other: status,
  owner: status,
  admin: status,
  ...(shows && { shows }),
});
/** The owner's: for other customers it is not there. */
const ownersAndAdmins = (status: number, prepare: Prepare): Row => ({ ...everybody(status, prepare), other: 404 });
const admins = (status: number, prepare: Prepare = () => ({})): Row => ({
  ...everybody(status, prepare),
  other: 403,
  owner: 403,
});

const newUser = () => ({ email: `${randomUUID()}@example.com`, password: 'a long password', name: 'A Customer' });
const ofTheOrder: Prepare = ({ order }) => ({ id: order.id });
const ofThePayment: Prepare = ({ payment }) => ({ id: payment.id });
const ofANewProduct: Prepare = async ({ newProduct }) => ({ id: await newProduct() });
const withRefreshToken: Prepare = async ({ newRefreshToken }) => ({ body: { refreshToken: await newRefreshToken() } });
const all = { limit: '100' };

/** Whether a list has the owner's where it should, and nowhere else. */
const listShows = (isOwners: (item: Reply['body'], world: World) => boolean, seers: readonly Actor[]): Shows => {
  return ({ items }, actor, world) =>
    items.some((item: Reply['body']) => isOwners(item, world)) === seers.includes(actor);
};

/** By operationId. */
export const rows: Record<string, Row> = {
  registerUser: everybody(201, () => ({ body: newUser() })),
  logIn: everybody(200, ({ actors }) => ({ body: { email: actors.owner.email, password: 'a-long-password' } })),
  refreshTokens: everybody(200, withRefreshToken),
  logOut: everybody(204, withRefreshToken),
  getPublicKeys: everybody(200),

  getMyProfile: everybody(200, undefined, ({ id }, actor, { actors }) => id === actors[actor].userId),
  updateMyProfile: everybody(
    200,
    () => ({ body: { name: 'Another Name' } }),
    ({ id }, actor, { actors }) => id === actors[actor].userId,
  ),
  listMyAddresses: everybody(
    200,
    () => ({ query: all }),
    listShows(({ id }, { addressId }) => id === addressId, ['owner']),
  ),
  addAddress: everybody(201, () => ({ body: address })),
  // Also for admins: a customer's address book is nobody else's.
  removeAddress: {
    prepare: async ({ newAddress }) => ({ id: await newAddress() }),
    other: 404,
    owner: 204,
    admin: 404,
  },
  listUsers: admins(200),
  getUser: admins(200, ({ actors }) => ({ id: actors.owner.userId })),

  listProducts: everybody(200),
  getProduct: everybody(200, ({ productId }) => ({ id: productId })),
  listCategories: everybody(200),
  createProduct: admins(201, () => ({
    body: {
      name: 'A product',
      description: 'For a test.',
      category: 'kitchen',
      price: { amount: 1_000, currency: 'USD' },
      stock: 1,
    },
  })),
  updateProduct: admins(200, async ({ newProduct }) => ({
    id: await newProduct(),
    body: { name: 'Another product', price: { amount: 900, currency: 'USD' }, version: 1 },
  })),
  deleteProduct: admins(204, ofANewProduct),
  changeStock: admins(200, async ({ newProduct }) => ({
    id: await newProduct(),
    body: { delta: 5, reason: 'a delivery' },
  })),

  listReviews: everybody(200, ({ productId }) => ({ id: productId })),
  // Only who has bought it: an admin has not.
  createReview: {
    prepare: async ({ newPurchase }) => ({
      id: await newPurchase(),
      body: { rating: 4, title: 'Boils fast', text: 'Two minutes for a pot of tea.' },
    }),
    other: 403,
    owner: 201,
    admin: 403,
  },

  placeOrder: everybody(
    201,
    ({ productId }) => ({
      body: {
        items: [{ productId, quantity: 1 }],
        shippingAddress: { ...address, line2: '2nd floor', region: 'IL' },
        paymentMethod: 'pm_card_visa',
        expectedTotal: { amount: 1_000, currency: 'USD' },
      },
    }),
    ({ userId }, actor, { actors }) => userId === actors[actor].userId,
  ),
  listOrders: everybody(
    200,
    () => ({ query: all }),
    listShows(({ id }, { order }) => id === order.id, ['owner', 'admin']),
  ),
  getOrder: ownersAndAdmins(200, ofTheOrder),
  getTimeline: ownersAndAdmins(200, ofTheOrder),
  getOrderOverview: ownersAndAdmins(200, ofTheOrder),
  cancelOrder: ownersAndAdmins(202, async ({ newOrder }) => ({ id: await newOrder() })),
  shipOrder: admins(200, async ({ newOrder }) => ({ id: await newOrder() })),
  deliverOrder: admins(200, async ({ newOrder, ship }) => {
    const id = await newOrder();
    await ship(id);
    return { id };
  }),

  listPayments: everybody(
    200,
    () => ({ query: all }),
    listShows(({ id }, { payment }) => id === payment.id, ['owner', 'admin']),
  ),
  getPayment: ownersAndAdmins(200, ofThePayment),
  getInvoice: ownersAndAdmins(200, ofThePayment),
  requestRefund: admins(202, async ({ newOrder, paymentIdOf }) => ({
    id: await paymentIdOf(await newOrder()),
    body: { amount: { amount: 400, currency: 'USD' }, reason: 'A scratch on the kettle.' },
  })),

  listMails: everybody(
    200,
    () => ({ query: all }),
    listShows(({ orderId }, { order }) => orderId === order.id, ['owner', 'admin']),
  ),

  getHealth: everybody(200),
  getReadiness: everybody(200),
};

/** Nobody is told by HTTP. */
async function isSold({ admin }: Platform, orderId: string): Promise<boolean> {
  const client = await new MongoClient(admin.mongoUrl).connect();
  try {
    const reservations = client.db('products').collection<{ _id: string; state: string }>('reservations');
    return (await reservations.findOne({ _id: orderId }))?.state === 'sold';
  } finally {
    await client.close();
  }
}

/** What a row works with: two customers and an admin, and what the first customer, the owner, has. */
export async function createWorld(platform: Platform) {
  const shop = createShop(platform.gatewayUrl);
  const { call } = shop;
  const withId = async (customer: Customer) => {
    const { body } = await call('GET', '/api/v1/users/me', { token: customer.token });
    return { ...customer, userId: String(body.id) };
  };
  const [owner, other, admin] = await Promise.all([
    shop.register().then(withId),
    shop.register().then(withId),
    shop.admin().then(withId),
  ]);

  const expectId = (reply: Reply): string => {
    if (reply.status >= 300) throw new Error(`${reply.status}: ${JSON.stringify(reply.body)}`);
    return reply.body.id;
  };
  const productId = await shop.createProduct(admin, 100_000);
  const newProduct = () => shop.createProduct(admin, 10);
  const newOrder = async (ofProduct = productId): Promise<string> => {
    const id = expectId(await shop.placeOrder(owner, { items: [{ productId: ofProduct, quantity: 1 }] }));
    const { status } = await shop.finalOrder(owner, id, 60_000);
    if (status !== 'confirmed') throw new Error(`order ${id} is ${status}`);
    return id;
  };
  const newAddress = async () =>
    expectId(await call('POST', '/api/v1/users/me/addresses', { token: owner.token, body: address }));

  const orderId = await newOrder();
  const payment = await shop.paymentOf(owner, orderId);
  const addressId = await newAddress();
  await waitFor('the owner has mail', async () => (await shop.mailsOf(owner, orderId)).length > 0, 60_000);
  return {
    shop,
    actors: { owner, other, admin },
    productId,
    order: { id: orderId },
    payment: { id: String(payment.id) },
    addressId,
    newOrder,
    newAddress,
    newProduct,
    /** A product that the owner has bought. */
    async newPurchase(): Promise<string> {
      const id = await newProduct();
      const ordered = await newOrder(id);
      await waitFor('it is sold', () => isSold(platform, ordered), 60_000);
      return id;
    },
    async paymentIdOf(id: string): Promise<string> {
      return (await shop.paymentOf(owner, id)).id;
    },
    async ship(id: string): Promise<void> {
      expectId(await call('POST', `/api/v1/orders/${id}/ship`, { token: admin.token }));
    },
    async newRefreshToken(): Promise<string> {
      const body = { email: owner.email, password: 'a-long-password' };
      return (await call('POST', '/api/v1/auth/login', { body })).body.refreshToken;
    },
  };
}

export type World = Awaited<ReturnType<typeof createWorld>>;

/** Where a call can be made. */
export interface Door {
  name: string;
  url: string;
  pathOf(call: Call, id?: string): string;
}

const pathOf = ({ template }: Call, id = '') => template.replace(/\{\w+\}/, id);

/** The gateway, and the service behind it, which has to be as strict by itself. */
export function doorsOf({ service }: Call, platform: Platform): [Door, ...Door[]] {
  const url = service === undefined ? undefined : platform.urls[service]?.[0];
  return [
    { name: 'gateway', url: platform.gatewayUrl, pathOf },
    ...(url === undefined || service === undefined
      ? []
      : [{ name: service, url, pathOf: (call: Call, id?: string) => pathOf(call, id).replace(/^\/api/, '') }]),
  ];
}

export const needsKey = ({ operation }: Call) =>
  operation.parameters?.some(({ name }) => name === 'Idempotency-Key') === true;

/** Makes a call as the document says. */
export function makeCall(
  door: Door,
  call: Call,
  { id, query, body }: Request,
  options: { token?: string | undefined; key?: string } = {},
): Promise<Reply> {
  const { token, key = randomUUID() } = options;
  const search = query === undefined ? '' : `?${new URLSearchParams(query)}`;
  return createClient(door.url)(call.method, door.pathOf(call, id) + search, {
    ...(token !== undefined && { token }),
    ...(body !== undefined && { body }),
    ...(needsKey(call) && { headers: { 'idempotency-key': key } }),
  });
}
