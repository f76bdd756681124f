// Passwords: Argon2id (RFC 9106), stored as PHC strings, only a few at once.
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import pLimit from 'p-limit';
import { passwordsBusy } from '../domain/errors.ts';

const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** Who would wait longer than a few seconds is sent away at once. */
const MAX_WAITING = 100;

export interface Passwords {
  /**
   * @returns a PHC string with algorithm, parameters, salt and hash
   * @throws AppError `unavailable` where too many wait already
   */
  hash(password: string): Promise<string>;
  /**
   * Takes as long where there is no hash (nobody has that e-mail address) as where there is one.
   * @throws AppError `unavailable` where too many wait already
   */
  verify(password: string, phc: string | undefined): Promise<boolean>;
}

interface Parameters {
  memory: number;
  passes: number;
  parallelism: number;
}

const argon2Async = promisify(argon2);
const encode = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');
/** https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md; 19 is Argon2's version 1.3, the only one in use. */
const phcPattern = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

function parse(phc: string): { parameters: Parameters; salt: Buffer; hash: Buffer } {
  const [, memory, passes, parallelism, salt, hash] = phcPattern.exec(phc) ?? [];
  if (salt === undefined || hash === undefined) throw new Error('a stored password hash is not an Argon2id PHC string');
  return {
    parameters: { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) },
    salt: Buffer.from(salt, 'base64'),
    hash: Buffer.from(hash, 'base64'),
  };
}

/**
 * @param memoryKib for one hash, in KiB
 * @param concurrency hashes at once; a thread of Node's pool each
 * @param hashing does the work
 */
export function createPasswords(options: {
  memoryKib: number;
  passes: number;
  concurrency: number;
  hashing?: typeof argon2Async;
}): Passwords {
  const { hashing = argon2Async } = options;
  const own: Parameters = { memory: options.memoryKib, passes: options.passes, parallelism: 1 };
  const limit = pLimit(options.concurrency);

  const derive = (password: string, salt: Buffer, parameters: Parameters, tagLength: number): Promise<Buffer> => {
    if (limit.pendingCount >= MAX_WAITING) throw passwordsBusy();
    // The same password typed on another keyboard may come in another Unicode form.
    const message = password.normalize('NFKC');
    return limit(() => hashing('argon2id', { message, nonce: salt, tagLength, ...parameters }));
  };

  return {
    async hash(password) {
      const salt = randomBytes(SALT_BYTES);
      const hash = await derive(password, salt, own, HASH_BYTES);
      const { memory, passes, parallelism } = own;
      return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${encode(salt)}$${encode(hash)}`;
    },
    async verify(password, phc) {
      if (phc === undefined) {
        await derive(password, randomBytes(SALT_BYTES), own, HASH_BYTES);
        return false;
      }
      const { parameters, salt, hash } = parse(phc);
      return timingSafeEqual(await derive(password, salt, parameters, hash.length), hash);
    },
  };
}
