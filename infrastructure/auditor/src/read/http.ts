// JSON from an HTTP API whose URL has the name and password in it, which fetch itself refuses.

const LIMIT_MS = 30_000;

/** @throws where the answer is not a success */
export async function getJson(url: string, path: string): Promise<unknown> {
  const { username, password, origin, pathname } = new URL(url);
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const response = await fetch(`${origin}${pathname.replace(/\/$/, '')}${path}`, {
    headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` },
    signal: AbortSignal.timeout(LIMIT_MS),
  });
  if (!response.ok) throw new Error(`the answer is ${response.status}`);
  return response.json();
}
