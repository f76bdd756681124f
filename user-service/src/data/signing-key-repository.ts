// Signing keys in SQL; the private halves are ciphertext here.
import type { Jwks } from '@glasshouse/shared/auth';
import type { Queryable, Transaction } from '@glasshouse/shared/postgres';

export interface StoredKey {
  kid: string;
  /** Encrypted. */
  privateKey: Buffer;
}

type PublicKey = Jwks['keys'][number];

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

/** @param graceS how long a retired key is still listed, in seconds */
export async function listPublicKeys(db: Queryable, graceS: number): Promise<PublicKey[]> {
  const { rows } = await db.query<{ public_jwk: PublicKey }>(
    `select public_jwk from signing_keys
     where retired_at is null or retired_at > clock_timestamp() - make_interval(secs => $1) order by created_at desc, kid`,
    [graceS],
  );
  return rows.map((row) => row.public_jwk);
}
