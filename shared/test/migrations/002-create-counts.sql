-- What the tests' handler changes.
create table counts (
  order_id uuid primary key,
  handled  integer not null
);
