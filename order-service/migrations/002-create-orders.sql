-- Orders, their items, their timeline, and the price list that orders are priced by.

create table orders (
  id               uuid primary key,
  user_id          uuid not null,
  status           text not null check (status in ('pending', 'confirmed', 'cancelled', 'shipped', 'delivered')),
  cancel_reason    text check (cancel_reason in ('out_of_stock', 'payment_declined', 'customer', 'timeout')),
  total_amount     bigint not null check (total_amount >= 0),
  currency         text not null,
  shipping_address jsonb not null,
  payment_method   text not null,
  pay_by           timestamptz not null,
  created_at       timestamptz not null,
  updated_at       timestamptz not null,
  -- Where the order comes from, so that what a clock does to it belongs to the same trace.
  correlation_id   text not null,
  traceparent      text not null,
  check ((status = 'cancelled') = (cancel_reason is not null))
);
create index orders_by_user on orders (user_id, id desc);
create index orders_by_user_and_status on orders (user_id, status, id desc);
create index orders_by_status on orders (status, id desc);
create index orders_pending_by_deadline on orders (pay_by) where status = 'pending';

create table order_items (
  order_id   uuid not null references orders (id),
  position   integer not null,
  product_id uuid not null,
  name       text not null,
  quantity   integer not null check (quantity > 0),
  unit_price bigint not null check (unit_price >= 0),
  primary key (order_id, product_id)
);

create table timeline (
  order_id     uuid not null references orders (id),
  event_id     uuid not null,
  arrival      bigint generated always as identity,
  type         text not null,
  source       text not null,
  time         timestamptz not null,
  trace_id     text not null,
  causation_id uuid,
  summary      text not null,
  primary key (order_id, event_id)
);

create table price_list (
  product_id uuid primary key,
  version    integer not null,
  deleted    boolean not null,
  name       text,
  price      bigint,
  currency   text
);
