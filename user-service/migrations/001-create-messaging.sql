-- What the chassis needs: the outbox. There is no inbox, for this service hears no events.

create table outbox (
  id            uuid primary key,
  event         jsonb not null,
  traceparent   text not null,
  claimed_until timestamptz not null
);
create index outbox_claimed_until on outbox (claimed_until);
