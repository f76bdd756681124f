-- The addresses that customers keep.

create table addresses (
  id         uuid primary key,
  user_id    uuid not null references users (id),
  -- Name, lines, city, region, postal code, country: only ever read and written as a whole.
  address    jsonb not null,
  created_at timestamptz not null
);
create index addresses_by_user on addresses (user_id, id desc);
