-- What an invoice names beyond the payment: its lines, when the money came, and when money went back.

alter table payments
  -- Unknown for orders that were placed before this column.
  add column items jsonb,
  add column captured_at timestamptz;
-- When it was is not known: `updated_at` moves with each cancellation, and what an invoice has shown must not.
update payments set captured_at = created_at where status = 'captured';

alter table refunds add column settled_at timestamptz;
