// Preloaded into every test (`node --import`): whatever answer of the API a test receives, from a service or through the gateway, has to be as the
// OpenAPI document says. What was seen is noted, so that `test/contract.test.ts` can tell what never was.
import { appendFileSync } from 'node:fs';

/** What a service that only a test has made says of itself: its answers are not the API's. */
const TEST_DOUBLE = 'x-test-double';

/** Most test files ask for nothing, and need not wait until the check is loaded. */
async function loadCheck() {
  const { createContractCheck, readDocument } = await import('./contract-check.ts');
  return createContractCheck(readDocument());
}

function watch(seenFile: string): void {
  let loading: ReturnType<typeof loadCheck> | undefined;
  const noted = new Set<string>();
  /** By what was asked for, the answer that was judged last: whoever waits for a change gets the same one many times. */
  const judged = new Map<string, string>();
  const original = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const response = await original(input, init);
    if (response.headers.has(TEST_DOUBLE)) return response;
    loading ??= loadCheck();
    const contract = await loading;
    const url = new URL(input instanceof Request ? input.url : input);
    const method = init?.method ?? (input instanceof Request ? input.method : 'GET');
    const operation = contract.find(method, url.pathname);
    if (operation === undefined) return response;
    const { status, headers } = response;
    if (method !== 'HEAD') {
      const text = await response.clone().text();
      // A service does not have the paths of the gateway, nor the gateway those of a service.
      if (status === 404 && text.includes('"route.not-found"')) return response;
      const asked = `${method} ${url.href}`;
      const answer = `${status} ${headers.get('content-type')} ${text}`;
      contract.check(operation, { status, headers, text, isBodyKnown: judged.get(asked) === answer });
      judged.set(asked, answer);
    }
    const line = `${operation.operationId} ${status}\n`;
    if (!noted.has(line)) appendFileSync(seenFile, line);
    noted.add(line);
    return response;
  };
}

const { CONTRACT_SEEN_FILE: seenFile } = process.env;
if (seenFile !== undefined) watch(seenFile);
