// The folder in which the demo's mail server keeps what it took.
import { randomUUID } from 'node:crypto';
import { open, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import PostalMime from 'postal-mime';

export type Mail = {
  /** When the server took it, ISO 8601 UTC. */
  time: string;
  to: string[];
  subject: string;
  text: string;
  messageId: string;
  file: string;
};

/** Keeps one mail as `<time>-<id>.eml`. When it returns, the mail survives a power cut. Returns the file's name. */
export async function storeMail(dir: string, content: Buffer): Promise<string> {
  const name = `${new Date().toISOString().replaceAll(':', '')}-${randomUUID().slice(0, 8)}.eml`;
  const unfinished = join(dir, `${name}.new`);
  const file = await open(unfinished, 'wx');
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(unfinished, join(dir, name));
  const folder = await open(dir, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
  return name;
}

/**
 * All mails, oldest first.
 * @param since only those that were taken then or later
 */
export async function readMailbox(dir: string, since = new Date(0)): Promise<Mail[]> {
  const files = await readdir(dir).catch(() => []);
  const first = since.toISOString().replaceAll(':', '');
  return Promise.all(
    files
      .filter((name) => name.endsWith('.eml') && name >= first)
      .sort()
      .map((name) => readMail(dir, name)),
  );
}

async function readMail(dir: string, name: string): Promise<Mail> {
  const mail = await PostalMime.parse(await readFile(join(dir, name)));
  return {
    time: name.replace(/^(.{10}T\d\d)(\d\d)(\d\d\.\d{3}Z).*$/, '$1:$2:$3'),
    to: (mail.to ?? []).flatMap(({ address }) => (address === undefined ? [] : [address])),
    subject: mail.subject ?? '',
    text: mail.text ?? mail.html ?? '',
    messageId: mail.messageId ?? '',
    file: name,
  };
}
