-- Users, the refresh tokens that keep them signed in, and the keys that sign their access tokens.

create table users (
  id            uuid primary key,
  -- As it was typed. Bytewise, so that lower() means the same on every machine.
  email         text collate "C" not null,
  name          text not null,
  -- A PHC string: algorithm, version, parameters, salt, hash.
  password_hash text not null,
  roles         text[] not null check (roles <@ array['customer', 'admin'] and cardinality(roles) > 0),
  version       integer not null check (version > 0),
  created_at    timestamptz not null,
  updated_at    timestamptz not null
);
create unique index users_by_email on users (lower(email));

-- One row for each login: all refresh tokens that descend from it stand and fall together.
create table token_families (
  id         uuid primary key,
  user_id    uuid not null references users (id),
  -- When its newest token ends; the older ones are spent.
  expires_at timestamptz not null,
  revoked_at timestamptz
);
create index token_families_by_user on token_families (user_id);
create index token_families_by_end on token_families (expires_at);

create table refresh_tokens (
  -- SHA-256: whoever reads this table has no token.
  hash      bytea primary key,
  family_id uuid not null references token_families (id) on delete cascade,
  spent_at  timestamptz
);
create index refresh_tokens_by_family on refresh_tokens (family_id);

-- The newest key that is not retired signs. A retired one stays until the last token that it signed has ended.
create table signing_keys (
  kid         text primary key,
  public_jwk  jsonb not null,
  -- PKCS #8, encrypted with AES-256-GCM: nonce (12 bytes), tag (16), ciphertext. Empty once the key is retired.
  private_key bytea not null,
  created_at  timestamptz not null default clock_timestamp(),
  retired_at  timestamptz
);
