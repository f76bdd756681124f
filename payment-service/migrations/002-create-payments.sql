-- Payments and refunds: what is due, under whose lease, and what became of it.

create table payments (
  id               uuid primary key,
  order_id         uuid not null unique,
  status           text not null default 'due' check (status in ('due', 'charging', 'captured', 'failed', 'void')),
  -- Unknown until order.created has come: other events of the order may come first.
  user_id          uuid,
  amount           bigint check (amount >= 0),
  currency         text,
  payment_method   text,
  pay_by           timestamptz,
  reserved         boolean not null default false,
  cancel_requested boolean not null default false,
  failure_code     text,
  -- The provider's PaymentIntent: only the one that is stored here is ever confirmed.
  intent_id        text,
  -- Part of the idempotency key: raised after an answered 5xx or a refusal that the provider has stored under the key.
  attempt          integer not null default 1,
  failures         integer not null default 0,
  lease_token      uuid,
  lease_until      timestamptz not null default '-infinity',
  next_attempt_at  timestamptz not null default '-infinity',
  correlation_id   text not null,
  causation_id     uuid,
  traceparent      text not null,
  created_at       timestamptz not null default clock_timestamp(),
  updated_at       timestamptz not null default clock_timestamp(),
  check (status in ('due', 'void') or amount is not null),
  check (status in ('due', 'void', 'failed') or intent_id is not null)
);
create index payments_by_user on payments (user_id, id desc);
create index payments_to_charge on payments (next_attempt_at) where status = 'charging' or (status = 'due' and reserved and not cancel_requested);

create table refunds (
  id              uuid primary key,
  payment_id      uuid not null references payments (id),
  amount          bigint not null check (amount > 0),
  reason          text not null,
  cause           text not null check (cause in ('cancel', 'admin')),
  status          text not null default 'due' check (status in ('due', 'succeeded', 'failed')),
  attempt         integer not null default 1,
  failures        integer not null default 0,
  lease_token     uuid,
  lease_until     timestamptz not null default '-infinity',
  next_attempt_at timestamptz not null default '-infinity',
  correlation_id  text not null,
  causation_id    uuid,
  traceparent     text not null,
  created_at      timestamptz not null default clock_timestamp()
);
create index refunds_by_payment on refunds (payment_id);
create index refunds_to_make on refunds (next_attempt_at) where status = 'due';
