// MongoDB's wire protocol: cuts a stream into messages; reads OP_MSG, and OP_QUERY for a driver's first hello; writes the answers.
// https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
import { deserialize, serialize } from 'bson';
import type { Doc } from './order.ts';

export type Request = {
  command: Doc;
  /** False where the client waits for no answer. */
  wantsAnswer: boolean;
  encodeAnswer(answer: Doc): Buffer;
};

const opReply = 1;
const opQuery = 2004;
const opMsg = 2013;
const headerBytes = 16;
const maxMessageBytes = 48_000_000;
const checksumPresent = 1;
const moreToCome = 2;

/**
 * Takes chunks as they come and calls back with each whole message.
 * @throws Error when the bytes are not this protocol: the connection cannot go on
 */
export function createFramer(onMessage: (message: Buffer) => void): (chunk: Buffer) => void {
  let chunks: Buffer[] = [];
  let length = 0;
  return (chunk) => {
    chunks.push(chunk);
    length += chunk.length;
    for (;;) {
      const first = chunks[0];
      if (!first || length < headerBytes) return;
      if (first.length < headerBytes) chunks = [Buffer.concat(chunks)];
      const size = chunks[0]?.readInt32LE(0) ?? 0;
      if (size < headerBytes || size > maxMessageBytes) throw new Error(`a message of ${size} bytes`);
      if (length < size) return;
      const all = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
      chunks = all.length > size ? [all.subarray(size)] : [];
      length = all.length - size;
      onMessage(all.subarray(0, size));
    }
  };
}

/** @throws Error for a message of another kind */
export function decodeRequest(message: Buffer): Request {
  const requestId = message.readInt32LE(4);
  const opCode = message.readInt32LE(12);
  if (opCode === opMsg) return decodeMsg(message, requestId);
  if (opCode === opQuery) return decodeQuery(message, requestId);
  throw new Error(`a message with the operation code ${opCode}`);
}

function decodeMsg(message: Buffer, requestId: number): Request {
  const flags = message.readUInt32LE(headerBytes);
  const end = message.length - (flags & checksumPresent ? 4 : 0);
  const sequences: Doc = {};
  let body: Doc = {};
  let at = headerBytes + 4;
  while (at < end) {
    const kind = message.readUInt8(at++);
    const size = message.readInt32LE(at);
    if (size < 5 || at + size > end) throw new Error('a section longer than its message');
    if (kind === 0) body = deserialize(message.subarray(at, at + size));
    else if (kind === 1) Object.assign(sequences, decodeSequence(message.subarray(at + 4, at + size)));
    else throw new Error(`a section of kind ${kind}`);
    at += size;
  }
  return {
    // The body comes first: the name of a command is its first field.
    command: { ...body, ...sequences },
    wantsAnswer: (flags & moreToCome) === 0,
    encodeAnswer(answer) {
      const bytes = serialize(answer);
      const prefix = header(opMsg, requestId, 5 + bytes.length, 5);
      return Buffer.concat([prefix, bytes]);
    },
  };
}

function decodeSequence(section: Buffer): Doc {
  const nameEnd = section.indexOf(0);
  const documents: Doc[] = [];
  for (let at = nameEnd + 1; at < section.length; ) {
    const size = section.readInt32LE(at);
    if (size < 5) throw new Error('a document without end');
    documents.push(deserialize(section.subarray(at, at + size)));
    at += size;
  }
  return { [section.toString('utf8', 0, nameEnd)]: documents };
}

function decodeQuery(message: Buffer, requestId: number): Request {
  const nameEnd = message.indexOf(0, headerBytes + 4);
  const name = message.toString('utf8', headerBytes + 4, nameEnd);
  const command = deserialize(message.subarray(nameEnd + 9));
  return {
    command: { ...command, $db: name.split('.')[0] },
    wantsAnswer: true,
    encodeAnswer(answer) {
      const bytes = serialize(answer);
      // Flags, cursor and position are 0; one document.
      const prefix = header(opReply, requestId, 20 + bytes.length, 20);
      prefix.writeInt32LE(1, headerBytes + 16);
      return Buffer.concat([prefix, bytes]);
    },
  };
}

let lastRequestId = 0;

function header(opCode: number, responseTo: number, bodyBytes: number, reserve: number): Buffer {
  const buffer = Buffer.alloc(headerBytes + reserve);
  lastRequestId = (lastRequestId + 1) % 2 ** 31;
  buffer.writeInt32LE(headerBytes + bodyBytes, 0);
  buffer.writeInt32LE(lastRequestId, 4);
  buffer.writeInt32LE(responseTo, 8);
  buffer.writeInt32LE(opCode, 12);
  return buffer;
}
