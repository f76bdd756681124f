// What happened to an order, in an order that a person can follow.

export interface TimelineEntry {
  id: string;
  type: string;
  source: string;
  time: Date;
  traceId: string;
  causationId?: string | undefined;
  summary: string;
}

/** By arrival, but never an entry before the one that caused it (where that one is there at all). */
export function inCausalOrder(byArrival: readonly TimelineEntry[]): TimelineEntry[] {
  const byId = new Map(byArrival.map((entry) => [entry.id, entry]));
  const seen = new Set<TimelineEntry>();
  const ordered: TimelineEntry[] = [];
  const place = (entry: TimelineEntry) => {
    if (seen.has(entry)) return;
    // Marked before its cause is looked at: two entries that name each other must not go round for ever.
    seen.add(entry);
    const cause = entry.causationId === undefined ? undefined : byId.get(entry.causationId);
    if (cause !== undefined) place(cause);
    ordered.push(entry);
  };
  byArrival.forEach(place);
  return ordered;
}

/** One sentence for each type of event. */
export function summaryOf(event: { type: string; data: unknown }): string {
  const data = event.data as Record<string, unknown>;
  const money = (value: unknown) => {
    const { amount, currency } = value as { amount: number; currency: string };
    return `${amount} ${currency} (minor units)`;
  };
  switch (event.type) {
    case 'order.created':
      return `Ordered for ${money(data.total)}`;
    case 'order.confirmed':
      return 'Confirmed: stock and money are there';
    case 'order.cancelled':
      return `Cancelled: ${String(data.cancelReason).replaceAll('_', ' ')}`;
    case 'order.shipped':
      return 'Shipped';
    case 'order.delivered':
      return 'Delivered';
    case 'inventory.reserved':
      return 'The stock is held';
    case 'inventory.rejected':
      return 'There is not enough stock';
    case 'inventory.released':
      return 'The stock is back';
    case 'payment.captured':
      return `Charged ${money(data.amount)}`;
    case 'payment.failed':
      return `The payment was declined: ${String(data.code)}`;
    case 'payment.refunded':
      return `Refunded ${money(data.amount)}`;
    case 'payment.refund-failed':
      return `A refund of ${money(data.amount)} failed`;
    default:
      return event.type;
  }
}
