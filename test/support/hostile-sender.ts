// Puts hostile requests on the wire, through fetch or byte by byte, and tells what came back.
import { connect } from 'node:net';
import type { Hostile, Way } from './hostile.ts';

/** Longer, and it hangs. */
const TOO_LONG_MS = 15_000;

export interface Answer {
  status: number;
  contentType: string;
  text: string;
}

/** A request with everything filled in. */
export interface Ready {
  url: URL;
  method: string;
  path: string;
  headers: [string, string][];
  body: Buffer | undefined;
}

async function byFetch({ url, method, path, headers, body }: Ready): Promise<Answer[]> {
  const signal = AbortSignal.timeout(TOO_LONG_MS);
  const response = await fetch(url.origin + path, {
    method,
    headers,
    signal,
    redirect: 'manual',
    ...(body && { body: new Uint8Array(body) }),
  });
  const text = await response.text();
  return [{ status: response.status, contentType: response.headers.get('content-type') ?? '', text }];
}

const CRLF = '\r\n';

/** The bytes of a request, and whether they end before it does. */
function bytesFor(
  way: Exclude<Way, 'fetch'>,
  { url, method, path, headers, body }: Ready,
): { bytes: Buffer; isCut: boolean } {
  const payload = body ?? Buffer.alloc(0);
  const lines = headers.map(([name, value]) => `${name}: ${value}`);
  const usual = [`Host: ${url.host}`, 'Connection: close', ...lines];
  const length = `Content-Length: ${payload.length}`;
  const chunked = 'Transfer-Encoding: chunked';
  const whole = (first: string, head: string[], end: string | Buffer = payload, line = CRLF) =>
    Buffer.concat([Buffer.from([first, ...head, '', ''].join(line), 'latin1'), Buffer.from(end)]);
  const first = `${method} ${path} HTTP/1.1`;
  const chunks = Buffer.concat([
    ...[payload.subarray(0, 7), payload.subarray(7)]
      .filter((chunk) => chunk.length > 0)
      .flatMap((chunk) => [Buffer.from(chunk.length.toString(16) + CRLF), chunk, Buffer.from(CRLF)]),
    Buffer.from(`0${CRLF}${CRLF}`),
  ]);
  const complete = (bytes: Buffer) => ({ bytes, isCut: false });
  const cut = (bytes: Buffer) => ({ bytes, isCut: true });
  const withLength = [...usual, length];
  switch (way) {
    case 'bytes':
      return complete(whole(first, withLength));
    case 'chunks':
      return complete(whole(first, [...usual, chunked], chunks));
    case 'a length too small':
      return complete(whole(first, [...usual, length], Buffer.concat([payload, Buffer.from('{"a":1}')])));
    case 'a length too large':
      return cut(whole(first, [...usual, `Content-Length: ${payload.length + 9}`]));
    case 'broken chunks':
      return cut(whole(first, [...usual, chunked], `zz${CRLF}{}${CRLF}0${CRLF}${CRLF}`));
    case 'unended chunks':
      return cut(whole(first, [...usual, chunked], chunks.subarray(0, -5)));
    case 'a length and chunks':
      return cut(whole(first, [...withLength, chunked], chunks));
    case 'two lengths':
      return cut(whole(first, [...withLength, `Content-Length: ${payload.length + 1}`]));
    case 'bare line feeds':
      return cut(whole(first, withLength, payload, '\n'));
    case 'a NUL in a header':
      return cut(whole(first, [...withLength, 'X-One: a\0b']));
    case 'no host':
      return complete(whole(first, withLength.slice(1)));
    case 'a path of 20 kB':
      return complete(whole(`${method} ${path}${'x'.repeat(20_000)} HTTP/1.1`, withLength));
    case 'two thousand headers':
      return complete(whole(first, [...withLength, ...Array.from({ length: 2_000 }, (_, n) => `X-${n}: 1`)]));
    case 'an absolute target':
      return complete(whole(`${method} http://evil.example${path} HTTP/1.1`, withLength));
    case 'a method in lower case':
      return cut(whole(`${method.toLowerCase()} ${path} HTTP/1.1`, withLength));
    case 'a version that there is not':
      return cut(whole(`${method} ${path} HTTP/1.7`, withLength));
    case 'one more request behind it':
      return complete(
        whole(
          first,
          [`Host: ${url.host}`, ...lines, length],
          Buffer.concat([payload, whole('GET /nothing HTTP/1.1', usual, '')]),
        ),
      );
    case 'rubbish':
      return cut(payload.length > 0 ? payload : Buffer.from('\x16\x03\x01\x02\0'));
  }
}

/** The answers in what came back on a connection; what cannot be read as HTTP is a failure. */
function readAnswers(got: Buffer, method: string): Answer[] {
  const answers: Answer[] = [];
  let rest: Buffer = got;
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n');
    const head = rest.subarray(0, end).toString('latin1');
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
    if (end < 0 || Number.isNaN(status)) throw new Error(`no HTTP: ${rest.subarray(0, 200).toString('latin1')}`);
    const header = (name: string) => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1] ?? '';
    const size = header('transfer-encoding') === '' ? Number(header('content-length')) : rest.length - end - 4;
    const from = end + 4;
    // What the parser refuses is answered with a body, before anybody knows its method.
    const isBodyless = answers.length === 0 && method === 'HEAD' && rest[from] !== '{'.charCodeAt(0);
    const hasBody = !isBodyless && status !== 204 && status !== 304;
    const to = hasBody ? from + size : from;
    if (to > rest.length) throw new Error(`the answer is cut off: ${head}`);
    if (status >= 200)
      answers.push({ status, contentType: header('content-type'), text: rest.subarray(from, to).toString() });
    rest = rest.subarray(to);
  }
  return answers;
}

function byBytes(way: Exclude<Way, 'fetch'>, ready: Ready): Promise<Answer[]> {
  const { bytes, isCut } = bytesFor(way, ready);
  const { hostname, port } = ready.url;
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true }, () => {
      // Whoever ends a whole request early takes it back.
      if (isCut) socket.end(bytes);
      else socket.write(bytes);
    });
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`it hangs, after ${Buffer.concat(chunks).subarray(0, 300)}`));
    }, TOO_LONG_MS);
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    // The other side may close while there is still something to send.
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      clearTimeout(timer);
      try {
        resolve(readAnswers(Buffer.concat(chunks), ready.method));
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** Whether a client may expect to be answered: the request was one, and came whole. */
export const isWhole = ({ way, damage }: Pick<Hostile, 'way' | 'damage'>) =>
  /^(fetch|bytes|chunks|an absolute target|a length too small|one more request behind it)$/.test(way) &&
  damage !== '10 MB';

/**
 * @returns every answer that came, in order
 * @throws where it hangs, or what came is no HTTP
 */
export const sendHostile = (way: Way, ready: Ready): Promise<Answer[]> =>
  way === 'fetch' && isFetchable(ready) ? byFetch(ready) : byBytes(way === 'fetch' ? 'bytes' : way, ready);

/** What fetch would not send, or not so; nor does it read an answer while it still has much to send. */
function isFetchable({ method, body, path }: Ready): boolean {
  const isBodyless = method === 'GET' || method === 'HEAD';
  if (body !== undefined && (isBodyless || body.length > 1_000_000)) return false;
  return new URL(`http://x${path}`).pathname === path.split('?')[0];
}
