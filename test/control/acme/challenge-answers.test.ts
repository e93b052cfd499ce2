/** Answers to challenges: who waits for one gets it, or hears that nothing comes of it. */
import { expect, test } from 'vitest';
import { AcmeVault } from '../../../src/control/acme/acme-vault.ts';
import { ChallengeAnswers } from '../../../src/control/acme/challenge-answers.ts';
import { LockLost } from '../../../src/control/acme/issuance.ts';
import { proverFor } from '../../../src/control/acme/store-prover.ts';
import type { Wanted } from '../../../src/control/acme/wanted.ts';
import { type RegistryStore, StoreError } from '../../../src/control/cluster/registry-store.ts';

const KEY = 'acme/challenge/1';

async function stored() {
  const vault = await AcmeVault.open({ key: '', keyFile: '' });
  const value = vault.written(KEY, { kind: 'http-01', token: 'token', text: 'token.thumb' });
  return { vault, objects: new Map([[KEY, { key: KEY, value, revision: 1, createdAt: 1 }]]) };
}

test('an answer is in force once data threads have it', async () => {
  const { vault, objects } = await stored();
  const events: string[] = [];
  const confirmations: (() => void)[] = [];
  const answers = new ChallengeAnswers(({ http }) => {
    events.push(...http.values());
    return new Promise((resolve) => {
      confirmations.push(resolve);
    });
  });
  const { signal } = new AbortController();
  const waiting = answers.inForce(KEY, signal).then(() => events.push('in force'));
  answers.take(objects, vault);
  await new Promise((resolve) => setImmediate(resolve));
  events.push('confirmed');
  for (const confirm of confirmations) confirm();
  await waiting;
  expect(events).toEqual(['token.thumb', 'confirmed', 'in force']);
});

test('who has lost the lock waits for no answer', async () => {
  const { vault, objects } = await stored();
  const lost = new AbortController();
  const answers = new ChallengeAnswers(() => new Promise(() => {}));
  const before = answers.inForce('acme/challenge/never', lost.signal);
  answers.take(objects, vault);
  const behind = answers.inForce(KEY, lost.signal);
  lost.abort();
  await expect(before).rejects.toThrow(LockLost);
  await expect(behind).rejects.toThrow(LockLost);
  await expect(answers.inForce(KEY, lost.signal)).rejects.toThrow(LockLost);
});

test('where the store does not take it, nobody waits for it, and it is taken away', async () => {
  const { vault } = await stored();
  const events: string[] = [];
  const store = {
    lease: async () => ({
      id: '1',
      isHeld: () => true,
      release: async () => void events.push('released'),
    }),
    commit: async () => ({ isDone: false, revision: 2, found: [] }),
  } as Partial<RegistryStore> as RegistryStore;
  const hear = (event: string): void => void events.push(event);
  const settings = { challenge: 'http-01', dnsHook: null } as Partial<Wanted['settings']>;
  const prover = proverFor({ name: 'a.test', settings } as Wanted, {
    store,
    vault,
    log: { debug: hear, info: hear, warn: hear, error: hear, fatal: hear },
    inForce: () => new Promise(() => {}),
    pause: async () => {},
    nowMs: () => 0,
  });
  await expect(prover.present('token', 'token.thumb')).rejects.toThrow(StoreError);
  expect(events).toEqual(['released']);
});
