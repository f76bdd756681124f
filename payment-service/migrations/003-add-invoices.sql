-- What an invoice names beyond the payment: its lines, when the money came, and when money went back.

alter table payments
  -- Unknown for orders that were placed before this column.
  add column items jsonb,
  add column captured_at timestamptz;
update payments set captured_at = updated_at where status = 'captured';

alter table refunds add column settled_at timestamptz;
