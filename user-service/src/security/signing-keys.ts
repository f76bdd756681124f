// The key pairs that sign access tokens: in the database, so that all copies of the service share them, the private halves encrypted.
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  generateKeyPair,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { promisify } from 'node:util';
import { type Jwks, keyIdOf } from '@glasshouse/shared/auth';
import { ConfigError } from '@glasshouse/shared/config';
import { classifyFailure } from '@glasshouse/shared/errors';
import type { Logger } from '@glasshouse/shared/logger';
import { type Database, type Db, inTransaction, type Queryable } from '@glasshouse/shared/postgres';
import type { Part } from '@glasshouse/shared/process';
import {
  deleteGoneKeys,
  findSigningKey,
  insertSigningKey,
  type ListedKey,
  listPublicKeys,
  listSigningKeys,
  lockSigningKeys,
  retireSigningKeys,
  type StoredKey,
} from '../data/signing-key-repository.ts';
import { noSigningKey } from '../domain/errors.ts';

const MODULUS_BITS = 2048;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** How far the clocks of those who check tokens may be behind; also covers a login that had read the old key just before it was retired. */
const CLOCK_SKEW_S = 60;

export interface SigningKey {
  kid: string;
  privateKey: KeyObject;
}

export interface SigningKeys extends Part {
  /**
   * The key that signs now: the newest that is not retired, made where there is none.
   * @throws ConfigError where KEY_ENCRYPTION_KEY is not the one that it was encrypted with
   */
  current(db: Db): Promise<SigningKey>;
  /**
   * The public halves of all keys whose tokens may still be in use (RFC 7517).
   * @throws AppError `unavailable` where there is none yet: an empty set would be remembered
   */
  publicKeys(db: Queryable): Promise<Jwks>;
  /**
   * Puts a new key in the place of the one that signs, on every copy at once. The old one is published until its last token
   * has expired.
   * @returns the new key's id
   * @throws ConfigError, with nothing changed, where KEY_ENCRYPTION_KEY is not the one that the old key was encrypted with
   */
  rotate(db: Db): Promise<string>;
  /** All keys, the newest first. */
  list(db: Queryable): Promise<ListedKey[]>;
  /** Deletes the keys whose last token has expired. */
  deleteGone(db: Queryable): Promise<void>;
}

const generate = promisify(generateKeyPair);

/** Bound to its key id, so that no row passes for another. */
function encrypt(plain: Buffer, kid: string, encryptionKey: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', encryptionKey, nonce).setAAD(Buffer.from(kid));
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), ciphertext]);
}

function decrypt({ kid, privateKey }: StoredKey, encryptionKey: Buffer): Buffer {
  const nonce = privateKey.subarray(0, NONCE_BYTES);
  const tag = privateKey.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', encryptionKey, nonce, { authTagLength: TAG_BYTES })
    .setAAD(Buffer.from(kid))
    .setAuthTag(tag);
  try {
    return Buffer.concat([decipher.update(privateKey.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
  } catch {
    throw new ConfigError(
      'KEY_ENCRYPTION_KEY does not decrypt the signing key in the database: set the one that it was encrypted with.',
    );
  }
}

/**
 * @param encryptionKey 32 bytes
 * @param accessTokenTtlS how long a token lives, in seconds: for as long, and a little longer, a retired key is published
 */
export function createSigningKeys(options: {
  database: Database;
  encryptionKey: Buffer;
  accessTokenTtlS: number;
  logger: Logger;
}): SigningKeys {
  const { database, encryptionKey, accessTokenTtlS, logger } = options;
  const graceS = accessTokenTtlS + CLOCK_SKEW_S;
  let decrypted: SigningKey | undefined;

  /** Outside of any transaction that holds the lock: it takes a second on a busy machine. */
  const generateKey = async (): Promise<{ stored: StoredKey; publicJwk: object }> => {
    const { publicKey, privateKey } = await generate('rsa', { modulusLength: MODULUS_BITS });
    const jwk = publicKey.export({ format: 'jwk' });
    const kid = keyIdOf(jwk);
    const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
    const stored = { kid, privateKey: encrypt(pkcs8, kid, encryptionKey) };
    return { stored, publicJwk: { ...jwk, kid, use: 'sig', alg: 'RS256' } };
  };

  /** The first key; of copies that start at once one makes it. */
  const create = async (db: Db): Promise<StoredKey> => {
    const { stored, publicJwk } = await generateKey();
    return inTransaction(db, async (tx) => {
      await lockSigningKeys(tx);
      const found = await findSigningKey(tx);
      if (found !== undefined) return found;
      await insertSigningKey(tx, stored, publicJwk);
      logger.info('a signing key was made', { kid: stored.kid });
      return stored;
    });
  };

  const current = async (db: Db): Promise<SigningKey> => {
    const stored = (await findSigningKey(db)) ?? (await create(db));
    if (decrypted?.kid !== stored.kid) {
      const key = createPrivateKey({ key: decrypt(stored, encryptionKey), format: 'der', type: 'pkcs8' });
      if (decrypted !== undefined) logger.info('another key signs from now on', { kid: stored.kid });
      decrypted = { kid: stored.kid, privateKey: key };
    }
    return decrypted;
  };

  return {
    name: 'signing keys',
    current,
    async publicKeys(db) {
      const keys = await listPublicKeys(db, graceS);
      if (keys.length === 0) throw noSigningKey();
      return { keys };
    },
    async rotate(db) {
      const { stored, publicJwk } = await generateKey();
      await inTransaction(db, async (tx) => {
        await lockSigningKeys(tx);
        const old = await findSigningKey(tx);
        // With another KEY_ENCRYPTION_KEY no copy could use the new key.
        if (old !== undefined) decrypt(old, encryptionKey);
        await retireSigningKeys(tx);
        await insertSigningKey(tx, stored, publicJwk);
      });
      return stored.kid;
    },
    list: (db) => listSigningKeys(db, graceS),
    deleteGone: (db) => deleteGoneKeys(db, graceS),
    async start() {
      try {
        await current(database);
      } catch (error) {
        // The database may come up later: the verifier asks until it does, and `/ready` waits for that.
        if (classifyFailure(error) === 'fault') throw error;
        logger.warn("the signing key can't be had yet", { error });
      }
    },
    async stop() {},
  };
}
