// A connection below the driver, for what the driver never does: repeat a statement, or vanish in the middle of a transaction.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Binary, type Document, deserialize, Long, serialize } from 'bson';

export type RawConnection = { socket: Socket; send(command: Document): Promise<Document> };

/** Sends one command at a time, as OP_MSG. */
export async function rawConnection(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  return {
    socket,
    async send(command) {
      const body = serialize(command);
      const head = Buffer.alloc(21);
      head.writeInt32LE(21 + body.length, 0);
      head.writeInt32LE(2013, 12);
      socket.write(Buffer.concat([head, body]));
      let answer = Buffer.alloc(0);
      while (answer.length < 4 || answer.length < answer.readInt32LE(0)) {
        const [chunk] = await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => [undefined])]);
        if (chunk === undefined) throw new Error('the connection was closed');
        answer = Buffer.concat([answer, chunk]);
      }
      return deserialize(answer.subarray(21));
    },
  };
}

export const newSession = () => ({ id: new Binary(randomBytes(16), Binary.SUBTYPE_UUID) });

/** The fields of a statement of a transaction. */
export const inTransaction = (lsid: Document, number: number, first = false) => ({
  lsid,
  txnNumber: Long.fromNumber(number),
  autocommit: false,
  ...(first && { startTransaction: true }),
});

export const commitOf = (lsid: Document, number: number) => ({
  commitTransaction: 1,
  $db: 'admin',
  ...inTransaction(lsid, number),
});
