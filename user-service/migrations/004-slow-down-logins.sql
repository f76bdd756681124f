-- What a login is slowed down by: failures of late, and who has logged in from where. Kept by keyed hashes: nobody's address can be read here.

create table failed_logins (
  key         bytea primary key,
  failures    integer not null default 0,
  -- Before that nobody may try who goes by this row, once the failures are too many.
  next_try_at timestamptz not null default 'epoch',
  forget_at   timestamptz not null default 'epoch'
);
create index failed_logins_by_end on failed_logins (forget_at);

create table familiar_addresses (
  -- Of an account and an address together.
  key           bytea primary key,
  last_login_at timestamptz not null
);
create index familiar_addresses_by_login on familiar_addresses (last_login_at);
