// Hands mails to the mail server over SMTP, on kept connections and through a breaker, and tells its answers about a mail from its troubles.
import type { Part } from '@glasshouse/shared/process';
import { createBreaker, isBreakerOpen } from '@glasshouse/shared/resilience';
import { inSpan, SpanKind } from '@glasshouse/shared/telemetry';
import { createTransport, type NodemailerError } from 'nodemailer';
import type { Recipient } from '../domain/mail.ts';

export interface OutgoingMail {
  messageId: string;
  to: Recipient;
  subject: string;
  text: string;
  date: Date;
}

/**
 * - `accepted`: the server has taken it over (250).
 * - `deferred`: not this mail, not now (a 4yz reply).
 * - `refused`: never this mail (a 5yz reply, or an address that can't be written in SMTP).
 * - `unreachable`: nobody has said anything about this mail; `reason` says what happened instead.
 * - `not-tried`: the breaker is open.
 */
export interface Outcome {
  kind: 'accepted' | 'deferred' | 'refused' | 'unreachable' | 'not-tried';
  reason?: string;
}

export interface MailClient extends Part {
  /** Never throws. The server may have taken a mail that is reported as unreachable: its answer was lost. */
  send(mail: OutgoingMail): Promise<Outcome>;
  state(): 'up' | 'down';
}

/** RFC 5321, 4.2.1: a 4yz reply is for now, a 5yz for good. A reply to anything but the recipient or the message is about us or the server. */
function answerAboutMail(error: NodemailerError): Outcome | undefined {
  const { code, command, responseCode, permanent, message: reason } = error;
  if (code === 'EENVELOPE' && command === 'API') return { kind: 'refused', reason };
  const isAboutMail = code === 'EMESSAGE' || (code === 'EENVELOPE' && command !== 'MAIL FROM');
  const serverCloses = responseCode === 421;
  if (!isAboutMail || serverCloses || responseCode === undefined) return undefined;
  return { kind: permanent === true ? 'refused' : 'deferred', reason };
}

/** Servers repeat the address in their refusals, each in its own way; it is nobody's business who reads our logs. */
const withoutAddresses = (reason: string) => reason.replace(/[^\s<>"'(:]+@[^\s<>"'):,;]+/g, 'somebody');

/**
 * @param url smtp(s)://user:password@host:port
 * @param from the sender, an address or `Name <address>`
 * @param timeoutMs for one mail, from the connecting to the server's last word
 */
export function createMailClient(options: {
  url: string;
  from: string;
  connections: number;
  timeoutMs: number;
}): MailClient {
  const { url, from, connections, timeoutMs } = options;
  const { hostname, port } = new URL(url);
  const address = { 'network.protocol.name': 'smtp', 'server.address': hostname, 'server.port': Number(port || 25) };
  const transport = createTransport(
    {
      url,
      pool: true,
      maxConnections: connections,
      connectionTimeout: timeoutMs,
      greetingTimeout: timeoutMs,
      socketTimeout: timeoutMs,
      disableFileAccess: true,
      disableUrlAccess: true,
    },
    { from, headers: { 'Auto-Submitted': 'auto-generated' } },
  );

  const breaker = createBreaker('mail server', async (mail: OutgoingMail): Promise<Outcome> => {
    const { to, ...rest } = mail;
    try {
      await transport.sendMail({
        ...rest,
        to: { name: to.name, address: to.email },
        signal: AbortSignal.timeout(timeoutMs),
      });
      return { kind: 'accepted' };
    } catch (error) {
      const answer = answerAboutMail(error as NodemailerError);
      if (answer === undefined) throw error;
      return answer;
    }
  });

  return {
    name: 'mail client',
    // Half open it lets one mail through: until that one has been answered, another would be claimed only to be put off.
    state: () => (breaker.closed || breaker.pendingClose ? 'up' : 'down'),
    async send(mail) {
      try {
        const description = { name: 'send mail', kind: SpanKind.CLIENT, attributes: address };
        const { kind, reason } = await inSpan(description, () => breaker.fire(mail));
        return reason === undefined ? { kind } : { kind, reason: withoutAddresses(reason) };
      } catch (error) {
        return {
          kind: isBreakerOpen(error) ? 'not-tried' : 'unreachable',
          reason: withoutAddresses((error as Error).message),
        };
      }
    },
    async start() {},
    async stop() {
      breaker.shutdown();
      transport.close();
    },
  };
}
