/** What this instance answers to authorities: the challenges in the store, whoever has put them there. */
import type { StoredObject } from '../cluster/registry-store.ts';
import type { Challenges } from '../registry.ts';
import { CHALLENGE_OUT, CHALLENGES, type ChallengeOut } from './acme-records.ts';
import type { AcmeVault } from './acme-vault.ts';
import { LockLost } from './issuance.ts';

export class ChallengeAnswers {
  readonly #onChallenges: (challenges: Challenges) => Promise<void>;
  #answered: { readonly keys: ReadonlySet<string>; readonly inForce: Promise<void> } = {
    keys: new Set(),
    inForce: Promise.resolve(),
  };
  readonly #waiting = new Set<() => void>();

  /** @param onChallenges resolves once they are answered. */
  constructor(onChallenges: (challenges: Challenges) => Promise<void>) {
    this.#onChallenges = onChallenges;
  }

  /** @param objects all that the store has. */
  take(objects: ReadonlyMap<string, StoredObject>, vault: AcmeVault | undefined): void {
    const out = [...objects.values()].filter(({ key }) => key.startsWith(CHALLENGES));
    const keys = new Set(out.map(({ key }) => key));
    const { keys: before } = this.#answered;
    if (keys.size === before.size && [...keys].every((key) => before.has(key))) return;
    const all = out.flatMap((object) => challengeIn(object, vault) ?? []);
    const inForce = this.#onChallenges({
      http: new Map(all.flatMap((one) => (one.kind === 'http-01' ? [[one.token, one.text]] : []))),
      tls: all.flatMap((one) => (one.kind === 'tls-alpn-01' ? [one] : [])),
    });
    this.#answered = { keys, inForce };
    for (const wake of this.#waiting) wake();
  }

  /**
   * Resolves once what stands under this key is answered by this instance.
   * @param lost the lock is, or this instance stops. @throws LockLost: then nobody waits for it.
   */
  async inForce(key: string, lost: AbortSignal): Promise<void> {
    while (!this.#answered.keys.has(key) && !lost.aborted) {
      await unlessAborted(lost, (resolve) => {
        this.#waiting.add(resolve);
        return () => void this.#waiting.delete(resolve);
      });
    }
    const { inForce } = this.#answered;
    await unlessAborted(lost, (resolve) => {
      void inForce.then(resolve);
      return () => {};
    });
    if (lost.aborted) throw new LockLost('nobody waits for an answer any more');
  }
}

function challengeIn(object: StoredObject, vault: AcmeVault | undefined): ChallengeOut | undefined {
  try {
    return vault?.read(object, CHALLENGE_OUT);
  } catch {
    // Another version of Fairlead, or another key: it answers itself.
    return undefined;
  }
}

/** @param begin gets what resolves it. @returns takes that away again. */
function unlessAborted(
  signal: AbortSignal,
  begin: (resolve: () => void) => () => void,
): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const end = (): void => {
      signal.removeEventListener('abort', end);
      takeAway();
      resolve();
    };
    signal.addEventListener('abort', end, { once: true });
    const takeAway = begin(end);
  });
}
