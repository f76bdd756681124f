-- What the chassis needs: outbox, inbox, idempotency keys, and a row to probe with.

create table outbox (
  id            uuid primary key,
  event         jsonb not null,
  traceparent   text not null,
  claimed_until timestamptz not null
);
create index outbox_claimed_until on outbox (claimed_until);

create table inbox (
  event_id   uuid primary key,
  handled_at timestamptz not null default now()
);
create index inbox_handled_at on inbox (handled_at);

create table idempotency_keys (
  user_id     uuid not null,
  operation   text not null,
  key         text not null,
  body_hash   text not null,
  resource_id uuid not null,
  created_at  timestamptz not null default now(),
  primary key (user_id, operation, key)
);

create table write_probe (
  id        integer primary key,
  probed_at timestamptz not null
);
