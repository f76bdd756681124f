// Sends the mails that are due, each under a lease, and records what the mail server has taken.
// A second copy goes out only where this process dies, or the server's answer is lost, between the one and the other.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { classifyFailure } from '@glasshouse/shared/errors';
import type { Logger } from '@glasshouse/shared/logger';
import type { Database } from '@glasshouse/shared/mongo';
import { backoffMs } from '@glasshouse/shared/resilience';
import { createWorker, type Worker } from '@glasshouse/shared/workers';
import type { MailClient, Outcome } from '../clients/mail-client.ts';
import { type ClaimedMail, claimDueMail, isDue, postpone, recordSent } from '../data/mail-repository.ts';
import { messageIdOf, textOf } from '../domain/mail.ts';

/** After a refusal for good: trying again is only for the case that somebody mends the address or the server. */
const REFUSED_PAUSE_MS = 900_000;
/** How long a holder that outlived its lease is given to record what it has sent: it waits for the database as we did. */
const SECOND_LOOK_MS = 2_000;
/** A mail that is begun later after its claim might not be out before the lease ends. */
const LATEST_SEND_MS = 3_000;

/** How long to leave a mail alone after a try that brought no acceptance, in milliseconds. */
function pauseAfter(kind: Outcome['kind'], attempts: number): number {
  if (kind === 'refused') return REFUSED_PAUSE_MS;
  if (kind === 'deferred') return 1_000 + backoffMs(attempts, 1_000, 29_000);
  // The breaker spares a server that is down; the pause only gives other mails their turn.
  return 500 + backoffMs(attempts, 500, 4_500);
}

export function createMailWorker(options: {
  database: Database;
  mailClient: MailClient;
  logger: Logger;
  concurrency: number;
  sweepIntervalMs: number;
}): Worker {
  const { database, mailClient, logger, concurrency, sweepIntervalMs } = options;
  let stopping = false;

  /** The mail is out: only our end, or a bug, may keep us from saying so. */
  const recordUntilDone = async (id: string) => {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await recordSent(database, id);
      } catch (error) {
        if (stopping || classifyFailure(error) === 'fault') throw error;
        logger.warn('a mail was sent, which could not be recorded yet', { mailId: id, error });
        await delay(backoffMs(attempt, 50, 300));
      }
    }
  };

  const perform = async (claimed: ClaimedMail) => {
    const { mail, attempts, isAbandoned } = claimed;
    const { id, fact, subject, recipient } = mail;
    if (recipient === undefined) throw new Error(`mail ${id} is due without a recipient`);
    const told = { mailId: id, orderId: fact.data.orderId, occasion: fact.type };
    if (isAbandoned) {
      await delay(SECOND_LOOK_MS);
      if (!(await isDue(database, id))) return;
    }
    // A process that was stopped meanwhile must not send what another has taken over.
    if (performance.now() - claimed.claimedAt > LATEST_SEND_MS) return;
    const { kind, reason } = await mailClient.send({
      messageId: messageIdOf(fact),
      to: recipient,
      subject,
      text: textOf(fact, recipient),
      date: new Date(fact.time),
    });
    if (kind === 'accepted') {
      await recordUntilDone(id);
      logger.info('mail sent', told);
      return;
    }
    if (kind === 'refused') logger.error('the mail server refuses a mail for good', { ...told, reason });
    else logger.warn('a mail could not be sent; it is tried again', { ...told, attempts, reason });
    await postpone(database, claimed, pauseAfter(kind, attempts), kind === 'not-tried' ? 0 : 1);
  };

  const worker = createWorker({
    name: 'mail worker',
    logger,
    concurrency,
    sweepIntervalMs,
    // While the server is known to be down, mails stay as they are: nothing is gained by touching each of them.
    claim: async () => (mailClient.state() === 'down' ? undefined : claimDueMail(database, randomUUID())),
    perform,
  });
  return {
    ...worker,
    async stop() {
      stopping = true;
      await worker.stop();
    },
  };
}
