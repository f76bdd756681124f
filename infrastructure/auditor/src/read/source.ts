// What all sources have in common: a name that people know, and one clear line where they do not answer.

/** Thrown where a source can't be read; its message is one line, without secrets. */
export class Unreachable extends Error {
  override name = 'Unreachable';
}

/** Runs `work`; whatever fails in it is told as `source` not being readable. */
export async function reading<T>(source: string, url: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new Unreachable(`Can't read ${source} at ${withoutSecrets(url)}: ${reasonOf(error)}`, { cause: error });
  }
}

/** Host, port and path of a URL, also of one that lists several hosts. */
function withoutSecrets(url: string): string {
  return url.replace(/^[a-z+]+:\/\/(.*@)?/, '').replace(/\?.*$/, '');
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  const { message, cause } = error as Error;
  // fetch says only that it failed; the reason is behind it.
  if (message === 'fetch failed' && cause instanceof Error) return reasonOf(cause);
  return message.replaceAll(/\s+/g, ' ');
}
