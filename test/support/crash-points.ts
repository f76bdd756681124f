// What customers do while a service dies, and what every book has to say afterwards: the same, whatever died, and wherever.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { createProvider } from '@glasshouse/payment-simulator/client';
import type { ServiceName } from '@glasshouse/shared/contracts';
import { type Reply, waitFor } from '@glasshouse/shared/testing';
import { loadConfig } from '../../infrastructure/auditor/src/config.ts';
import { audit } from '../../infrastructure/auditor/src/index.ts';
import { readMailbox } from '../../infrastructure/local/src/mailbox.ts';
import type { Platform } from '../../infrastructure/local/src/platform.ts';
import type { Halts, Step } from './halt-points.ts';
import { type Customer, createShop } from './shop.ts';

/** What is to be paid for an order, in minor units: 2 of the first product, 3 of the second. */
const PRICES = [1_000, 250] as const;
const TOTAL = 2 * PRICES[0] + 3 * PRICES[1];
/** What an admin gives back: a second time it would still be within what was paid. */
const PART = 1_000;

/** How a story ends. */
interface Ending {
  inWords: string;
  status: 'confirmed' | 'cancelled';
  cancelReason?: string;
  /** The events of its timeline, each once. */
  timeline: readonly string[];
  payment: 'captured' | 'failed' | 'void';
  isCharged: boolean;
  /** In minor units. */
  refunded: number;
  isSold: boolean;
  /** The occasions of which the customer is told, once each. */
  mails: readonly string[];
  /** Another that is as right, where two things race. */
  orElse?: Ending;
}

const confirmed: Ending = {
  inWords: 'the order is confirmed, charged once and sold',
  status: 'confirmed',
  timeline: ['order.created', 'inventory.reserved', 'payment.captured', 'order.confirmed'],
  payment: 'captured',
  isCharged: true,
  refunded: 0,
  isSold: true,
  mails: ['order.confirmed'],
};

const cancelledTooLate: Ending = {
  inWords: 'the order that is cancelled meanwhile is charged once and refunded once',
  status: 'cancelled',
  cancelReason: 'customer',
  timeline: [
    'order.created',
    'inventory.reserved',
    'order.cancelled',
    'inventory.released',
    'payment.captured',
    'payment.refunded',
  ],
  payment: 'captured',
  isCharged: true,
  refunded: TOTAL,
  isSold: false,
  mails: ['order.cancelled', 'payment.refunded'],
};

const endings = {
  paid: confirmed,
  'by a new customer': { ...confirmed, inWords: 'the new customer buys, and the mail finds them' },
  'of a new product': { ...confirmed, inWords: 'the new product is sold' },
  declined: {
    inWords: 'the order is cancelled, nothing is charged and the stock is back',
    status: 'cancelled',
    cancelReason: 'payment_declined',
    timeline: ['order.created', 'inventory.reserved', 'payment.failed', 'order.cancelled', 'inventory.released'],
    payment: 'failed',
    isCharged: false,
    refunded: 0,
    isSold: false,
    mails: ['order.cancelled'],
  },
  short: {
    inWords: 'the order is cancelled, nothing was held or charged',
    status: 'cancelled',
    cancelReason: 'out_of_stock',
    timeline: ['order.created', 'inventory.rejected', 'order.cancelled'],
    payment: 'void',
    isCharged: false,
    refunded: 0,
    isSold: false,
    mails: ['order.cancelled'],
  },
  cancelled: {
    inWords: 'the cancelled order is refunded once and the stock is back',
    status: 'cancelled',
    cancelReason: 'customer',
    timeline: [...confirmed.timeline, 'order.cancelled', 'inventory.released', 'payment.refunded'],
    payment: 'captured',
    isCharged: true,
    refunded: TOTAL,
    isSold: false,
    mails: ['order.confirmed', 'order.cancelled', 'payment.refunded'],
  },
  'cancelled after the charge': cancelledTooLate,
  'cancelled before the charge': {
    ...cancelledTooLate,
    inWords: 'the order that is cancelled meanwhile costs nothing',
    timeline: ['order.created', 'inventory.reserved', 'order.cancelled', 'inventory.released'],
    payment: 'void',
    isCharged: false,
    refunded: 0,
    mails: ['order.cancelled'],
    // Where the lease ends before payment-service has heard of it.
    orElse: cancelledTooLate,
  },
  'refunded by an admin': {
    ...confirmed,
    inWords: 'a part of the money goes back, once',
    timeline: [...confirmed.timeline, 'payment.refunded'],
    refunded: PART,
    mails: ['order.confirmed', 'payment.refunded'],
  },
} satisfies Record<string, Ending>;

export type Story = keyof typeof endings;

/** Where a service halts, and in which story. */
export interface CrashPoint {
  service: ServiceName;
  between: Step;
  what: string;
  story: Story;
}

/**
 * The one case in which the same mail goes out again, with the same Message-ID: the mail server has said 250, and nobody was left, or nobody
 * was awake, to write it down.
 */
export const copiesAllowed = ({ between, what }: CrashPoint): number =>
  between === 'call and record' && what === 'mail' ? 2 : 1;

const inTheMiddle: Record<string, string> = { held: 'hold', sold: 'sale', available: 'release' };

/** @param happens what happens to the service, such as `is killed` */
export function titleOf({ service, between, what, story }: CrashPoint, happens: string): string {
  const isCall = between === 'claim and call' || between === 'call and record';
  const where =
    between === 'move and commit'
      ? `in the middle of a multi-item ${inTheMiddle[what]}`
      : `between ${between} of ${isCall ? 'the ' : ''}${what}`;
  return `${service} ${happens} ${where}: ${endings[story].inWords}`;
}

/** What a customer wants or has bought: two products, so that a hold is of several items. */
export interface Purchase {
  buyer: Customer;
  items: { productId: string; quantity: number; stock: number }[];
  paymentMethod: string;
  key: string;
  orderId?: string;
  /** Once its story has come to one. */
  ending?: Ending;
}

/** For the platform: what a service that died has left behind is looked for every second, and no order is given up because the machine is slow. */
export const crashSettings = {
  OUTBOX_SWEEP_INTERVAL_MS: '1000',
  PAYMENT_SWEEP_INTERVAL_MS: '1000',
  MAIL_SWEEP_INTERVAL_MS: '1000',
  SAGA_TIMEOUT_S: '600',
};

const TRY_AGAIN_MS = 250;
/** Half a hundred orders are waited for at once, and each look passes through all services. */
const LOOK_AGAIN_MS = 1_500;
const LONGEST_MS = 120_000;

/** Repeats a call as a customer would whom the shop tells, or lets guess, that it can't answer right now. */
function insist(call: () => Promise<Reply>, ...expected: number[]): Promise<Reply> {
  return waitFor(
    `one of ${expected} is answered`,
    async () => {
      const reply = await call();
      assert.ok(expected.includes(reply.status), `${reply.status}: ${JSON.stringify(reply.body)}`);
      return reply;
    },
    LONGEST_MS,
    TRY_AGAIN_MS,
  );
}

/** Asks for something, once or again and again. */
type Ask = <T>(look: () => Promise<T>) => Promise<T>;
const once: Ask = (look) => look();
/** As customers do while a copy is stopped: whoever meets it gets no answer, and the next one is asked. */
const untilAnswered: Ask = async (look) =>
  (await waitFor('an answer', async () => ({ answer: await look() }), LONGEST_MS, TRY_AGAIN_MS)).answer;

/** The people of the stories, on a running platform. */
export async function createCast(platform: Platform) {
  const shop = createShop(platform.gatewayUrl);
  const provider = createProvider(platform.auditEnv.AUDIT_LEDGER_URL ?? '');
  const logIn = (as: () => Promise<Customer>) => waitFor('a login', as, LONGEST_MS, TRY_AGAIN_MS);
  const [admin, alice] = await Promise.all([logIn(shop.admin), logIn(shop.alice)]);

  const place = async (purchase: Purchase, requestId: string = randomUUID()): Promise<void> => {
    const { buyer, items, paymentMethod, key } = purchase;
    const wanted = items.map(({ productId, quantity }) => ({ productId, quantity }));
    const { body } = await insist(() => shop.placeOrder(buyer, { items: wanted, paymentMethod, key, requestId }), 201);
    purchase.orderId = body.id;
  };

  /** What the services say. */
  const readHttpBooks = async ({ orderId = '', items }: Purchase, ask: Ask) => {
    const [order, timeline, payment, mails, ...stock] = await Promise.all([
      ask(() => shop.orderOf(admin, orderId)),
      ask(() => shop.timelineOf(admin, orderId)),
      ask(() => shop.paymentOf(admin, orderId)),
      ask(() => shop.mailsOf(admin, orderId)),
      ...items.map(({ productId }) => ask(() => shop.stockOf(productId))),
    ]);
    return {
      status: order.status,
      cancelReason: order.cancelReason,
      timeline: timeline.map(({ type }) => type).sort(),
      payment: [payment?.status, payment?.amount.amount, payment?.refunded.amount],
      stock,
      mails: mails.map(({ occasion, status }) => `${occasion} is ${status}`).sort(),
    };
  };

  const expectedHttpBooks = ({ items }: Purchase, ending: Ending): Awaited<ReturnType<typeof readHttpBooks>> => ({
    status: ending.status,
    cancelReason: ending.cancelReason,
    timeline: ending.timeline.toSorted(),
    payment: [ending.payment, TOTAL, ending.refunded],
    stock: items.map(({ stock, quantity }) => (ending.isSold ? stock - quantity : stock)),
    mails: ending.mails.map((occasion) => `${occasion} is sent`).sort(),
  });

  /** What the outside world has to say: the provider's ledger and the customer's mailbox. */
  const assertOutside = async ({ orderId = '', buyer }: Purchase, ending: Ending, mostCopies: number) => {
    const intents = (await provider.ledger()).filter(({ metadata }) => metadata.orderId === orderId);
    const refunds = intents.flatMap((intent) => intent.refunds);
    const moved = (entries: { status: string; amount: number }[]) =>
      entries.filter(({ status }) => status === 'succeeded').map(({ amount }) => amount);
    assert.deepEqual(
      { charged: moved(intents), refunded: moved(refunds) },
      { charged: ending.isCharged ? [TOTAL] : [], refunded: ending.refunded > 0 ? [ending.refunded] : [] },
    );
    const mails = (await readMailbox(platform.mailDir)).filter(({ messageId }) => messageId.includes(orderId));
    const byId = Object.groupBy(mails, ({ messageId }) => messageId);
    assert.equal(Object.keys(byId).length, ending.mails.length, `Message-IDs: ${Object.keys(byId)}`);
    for (const [messageId, copies = []] of Object.entries(byId)) {
      assert.ok(copies.length <= mostCopies, `${copies.length} copies of ${messageId}`);
      for (const { to } of copies) assert.deepEqual(to, [buyer.email]);
    }
  };

  /** Which ending the services' books show. @throws where they show none of this story, or another one than before */
  const readEnding = async (purchase: Purchase, story: Story, ask: Ask): Promise<Ending> => {
    const first: Ending = endings[story];
    const possible = purchase.ending ? [purchase.ending] : [first, first.orElse ?? first];
    const books = await readHttpBooks(purchase, ask);
    const found = possible.find((ending) => isDeepStrictEqual(books, expectedHttpBooks(purchase, ending)));
    if (found === undefined) assert.deepEqual(books, expectedHttpBooks(purchase, possible[0] ?? first));
    return found ?? first;
  };

  /** @param mostCopies of one mail, all with the same Message-ID */
  const assertBooks = async (purchase: Purchase, story: Story, mostCopies = 1): Promise<void> => {
    purchase.ending = await readEnding(purchase, story, once);
    await assertOutside(purchase, purchase.ending, mostCopies);
  };

  const waitForBooks = async (purchase: Purchase, story: Story, mostCopies = 1): Promise<void> => {
    const { orderId = '' } = purchase;
    const { status } = endings[story];
    // Few calls until a look at everything is worth it: many orders are waited for at once.
    const isOver = async () => (await shop.orderOf(admin, orderId)).status === status;
    await waitFor(`order ${orderId} is ${status}`, isOver, LONGEST_MS, LOOK_AGAIN_MS);
    const agree = () => readEnding(purchase, story, untilAnswered);
    purchase.ending = await waitFor(`all books agree on order ${orderId}`, agree, LONGEST_MS, LOOK_AGAIN_MS);
    await assertOutside(purchase, purchase.ending, mostCopies);
  };

  const cancel = async ({ orderId }: Purchase, requestId: string = randomUUID()): Promise<void> => {
    const headers = { 'x-request-id': requestId };
    await insist(() => shop.call('POST', `/api/v1/orders/${orderId}/cancel`, { token: alice.token, headers }), 202);
  };

  const refund = async ({ orderId = '', key }: Purchase, requestId: string): Promise<void> => {
    const { id } = await waitFor('the payment', () => shop.paymentOf(admin, orderId), LONGEST_MS, TRY_AGAIN_MS);
    const headers = { 'x-request-id': requestId, 'idempotency-key': key };
    const body = { amount: PART, reason: 'Broken on arrival.' };
    await insist(() => shop.call('POST', `/api/v1/payments/${id}/refunds`, { token: admin.token, headers, body }), 202);
  };

  const registerAndPlace = async (purchase: Purchase, requestId: string): Promise<void> => {
    const login = { email: `${randomUUID()}@example.com`, password: 'a-long-password' };
    const body = { ...login, name: 'A Customer' };
    const headers = { 'x-request-id': requestId };
    // Who got no answer and asks again is told that the address is in use: the account is there.
    await insist(() => shop.call('POST', '/api/v1/auth/register', { body, headers }), 201, 409);
    const { body: tokens } = await insist(() => shop.call('POST', '/api/v1/auth/login', { body: login }), 200);
    purchase.buyer = { email: login.email, token: tokens.accessToken };
    await place(purchase);
  };

  const createProductAndPlace = async (purchase: Purchase, requestId: string): Promise<void> => {
    const [item] = purchase.items;
    assert.ok(item);
    const name = `New product ${requestId}`;
    const body = {
      name,
      description: 'For a test.',
      category: 'kitchen',
      price: { amount: PRICES[0], currency: 'USD' },
      stock: item.stock,
    };
    const headers = { 'x-request-id': requestId };
    const path = `/api/v1/products?search=${encodeURIComponent(name)}`;
    while (item.productId === '') {
      const { status } = await shop.call('POST', '/api/v1/products', { token: admin.token, headers, body });
      // Who got no answer looks whether it is there.
      const { body: found } = await insist(() => shop.call('GET', path), 200);
      item.productId = found.items.find((product: { name: string }) => product.name === name)?.id ?? '';
      // Where the service was away before (503) nothing was made, and it is asked again.
      assert.ok(item.productId !== '' || status === 503, `the answer was ${status}, and there is no product`);
    }
    await place(purchase);
  };

  /** How a story begins. Returns when the shop has accepted it. */
  const act = (story: Story, purchase: Purchase, requestId: string): Promise<void> => {
    if (story === 'cancelled') return cancel(purchase, requestId);
    if (story === 'refunded by an admin') return refund(purchase, requestId);
    if (story === 'by a new customer') return registerAndPlace(purchase, requestId);
    if (story === 'of a new product') return createProductAndPlace(purchase, requestId);
    return place(purchase, requestId);
  };

  return {
    assertBooks,
    waitForBooks,

    /** What has to be there before the story begins. */
    async prepare(story: Story): Promise<Purchase> {
      const newProduct = (stock: number, price: number) =>
        waitFor('a product', () => shop.createProduct(admin, stock, price), LONGEST_MS, TRY_AGAIN_MS);
      const secondStock = story === 'short' ? 1 : 10;
      const [first, second] = await Promise.all([
        story === 'of a new product' ? '' : newProduct(10, PRICES[0]),
        newProduct(secondStock, PRICES[1]),
      ]);
      const purchase: Purchase = {
        buyer: alice,
        items: [
          { productId: first, quantity: 2, stock: 10 },
          { productId: second, quantity: 3, stock: secondStock },
        ],
        paymentMethod: story === 'declined' ? 'pm_card_chargeDeclined' : 'pm_card_visa',
        key: randomUUID(),
      };
      if (story === 'cancelled' || story === 'refunded by an admin') {
        await place(purchase);
        await waitForBooks(purchase, 'paid');
        delete purchase.ending;
      }
      return purchase;
    },

    /**
     * The story begins, and comes to the point.
     * @returns the number of the process that has halted there, and what waits until the shop has accepted what was asked of it: for that it
     * may need this very process
     */
    async actUntilHalted(
      { story, ...place }: CrashPoint,
      purchase: Purchase,
      halts: Halts,
      signal: 'SIGKILL' | 'SIGSTOP',
    ): Promise<{ pid: number; accepted: Promise<void> }> {
      const point = { ...place, requestId: randomUUID() };
      halts.arm(point, signal);
      const accepted = act(story, purchase, point.requestId);
      accepted.catch(() => {});
      try {
        // A story that fails before says why.
        const failed = accepted.then(() => new Promise<never>(() => {}));
        const comesThere = waitFor(`${place.service} comes there`, () => halts.haltedAt(point), LONGEST_MS);
        const pid = await Promise.race([comesThere, failed]);
        return { pid, accepted };
      } finally {
        halts.disarm(point);
      }
    },

    /** What the customer does while the service is away. */
    async goOn(story: Story, purchase: Purchase): Promise<void> {
      if (story !== 'cancelled before the charge' && story !== 'cancelled after the charge') return;
      await waitFor('the order is accepted', () => purchase.orderId);
      await cancel(purchase);
    },

    /** Every equation holds, once all is quiet. */
    async assertAuditIsClean(): Promise<void> {
      const { equations } = await audit(loadConfig(platform.auditEnv));
      const broken = equations
        .filter((equation) => !equation.ok)
        .map(({ id, findings }) => `(${id}) ${JSON.stringify(findings.slice(0, 3))}`);
      assert.deepEqual(broken, []);
    },
  };
}

export type Cast = Awaited<ReturnType<typeof createCast>>;
