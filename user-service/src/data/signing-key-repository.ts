// Signing keys in SQL; the private halves are ciphertext here.
import type { Jwks } from '@glasshouse/shared/auth';
import type { Queryable, Transaction } from '@glasshouse/shared/postgres';

export interface StoredKey {
  kid: string;
  /** Encrypted. */
  privateKey: Buffer;
}

type PublicKey = Jwks['keys'][number];

/** When the last token of a retired key has expired; the first parameter is how long that takes, in seconds. */
const endOfGrace = 'retired_at + make_interval(secs => $1)';

/** The one that signs: the newest that is not retired. */
export async function findSigningKey(db: Queryable): Promise<StoredKey | undefined> {
  const { rows } = await db.query<{ kid: string; private_key: Buffer }>(
    'select kid, private_key from signing_keys where retired_at is null order by created_at desc, kid limit 1',
  );
  return rows[0] && { kid: rows[0].kid, privateKey: rows[0].private_key };
}

/** One at a time, until the transaction ends: two copies that start at once make one key. */
export async function lockSigningKeys(tx: Transaction): Promise<void> {
  await tx.query("select pg_advisory_xact_lock(hashtext('signing_keys'))");
}

export async function insertSigningKey(tx: Transaction, key: StoredKey, publicKey: object): Promise<void> {
  await tx.query('insert into signing_keys (kid, public_jwk, private_key) values ($1, $2, $3)', [
    key.kid,
    JSON.stringify(publicKey),
    key.privateKey,
  ]);
}

/** Nobody signs with them any more: their private halves are wiped at once. */
export async function retireSigningKeys(tx: Transaction): Promise<void> {
  await tx.query("update signing_keys set retired_at = clock_timestamp(), private_key = '' where retired_at is null");
}

/** @param graceS how long a retired key is still listed, in seconds */
export async function listPublicKeys(db: Queryable, graceS: number): Promise<PublicKey[]> {
  const { rows } = await db.query<{ public_jwk: PublicKey }>(
    `select public_jwk from signing_keys
     where retired_at is null or ${endOfGrace} > clock_timestamp() order by created_at desc, kid`,
    [graceS],
  );
  return rows.map((row) => row.public_jwk);
}

export interface ListedKey {
  kid: string;
  createdAt: Date;
  retiredAt: Date | undefined;
  /** When its tokens will have expired; only of a retired key. */
  acceptedUntil: Date | undefined;
  isGone: boolean;
}

/** @param graceS as above */
export async function listSigningKeys(db: Queryable, graceS: number): Promise<ListedKey[]> {
  const { rows } = await db.query<{
    kid: string;
    created_at: Date;
    retired_at: Date | null;
    accepted_until: Date | null;
    is_gone: boolean;
  }>(
    `select kid, created_at, retired_at, ${endOfGrace} as accepted_until,
            coalesce(${endOfGrace} <= clock_timestamp(), false) as is_gone
     from signing_keys order by created_at desc, kid`,
    [graceS],
  );
  return rows.map((row) => ({
    kid: row.kid,
    createdAt: row.created_at,
    retiredAt: row.retired_at ?? undefined,
    acceptedUntil: row.accepted_until ?? undefined,
    isGone: row.is_gone,
  }));
}

/** @param graceS as above */
export async function deleteGoneKeys(db: Queryable, graceS: number): Promise<void> {
  await db.query(`delete from signing_keys where ${endOfGrace} <= clock_timestamp()`, [graceS]);
}
