/**
 * Answers challenges for all instances: what is to be answered is put into the store, from where each of them takes it. It goes with its
 * lease, so that nothing stays out when its instance ends in the middle.
 */
import { randomBytes } from 'node:crypto';
import type { Logger } from '../../observe/logger.ts';
import { type RegistryStore, StoreError } from '../cluster/registry-store.ts';
import { CHALLENGES, type ChallengeOut } from './acme-records.ts';
import type { AcmeVault } from './acme-vault.ts';
import { validationCertificate } from './certificate-request.ts';
import { recordNameOf, recordTextOf, runHook } from './dns-hook.ts';
import type { Prover } from './order.ts';
import type { Wanted } from './wanted.ts';

const LEASE_MS = 60_000;

export interface StoreProverOptions {
  readonly store: RegistryStore;
  readonly vault: AcmeVault;
  readonly log: Logger;
  /** Resolves once what stands under this key is answered. */
  readonly inForce: (key: string) => Promise<void>;
  readonly pause: (ms: number) => Promise<void>;
  readonly nowMs: () => number;
}

export function proverFor({ name, settings }: Wanted, options: StoreProverOptions): Prover {
  const { challenge, dnsHook } = settings;
  return {
    async present(token, authorization) {
      if (challenge === 'http-01') {
        return putOut(options, { kind: challenge, token, text: authorization });
      }
      if (challenge === 'tls-alpn-01') {
        const pair = validationCertificate(name, authorization, options.nowMs());
        return putOut(options, { kind: challenge, name, ...pair });
      }
      if (dnsHook === null) throw new Error('there is no dns_hook');
      const record = { name: recordNameOf(name), text: recordTextOf(authorization) };
      const takeAway = async (): Promise<void> => {
        await runHook(dnsHook, 'cleanup', record).catch((error: unknown) => {
          const reason = error instanceof Error ? error.message : String(error);
          const message = `the record ${record.name} may still be there: ${reason}`;
          options.log.warn('certificate.record_left', message, { name });
        });
      };
      try {
        await runHook(dnsHook, 'present', record);
        await options.pause(dnsHook.waitMs);
      } catch (error) {
        await takeAway();
        throw error;
      }
      return takeAway;
    },
  };
}

async function putOut(
  { store, vault, inForce }: StoreProverOptions,
  challenge: ChallengeOut,
): Promise<() => Promise<void>> {
  const key = `${CHALLENGES}${randomBytes(16).toString('hex')}`;
  const lease = await store.lease({ ttlMs: LEASE_MS });
  const takeAway = (): Promise<void> => lease.release();
  try {
    const value = vault.written(key, challenge);
    const { isDone } = await store.commit({
      conditions: [],
      writes: [{ put: key, value, lease: lease.id }],
    });
    // The store of a cluster adds a condition: it has been wiped, or is another one. Nobody would ever answer.
    if (!isDone)
      throw new StoreError('refused', 'the store does not take the answer to a challenge');
    await inForce(key);
  } catch (error) {
    await takeAway();
    throw error;
  }
  return takeAway;
}
