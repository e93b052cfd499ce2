import { expect, test } from 'vitest';
import { isPeer, proofFor } from '../../../src/control/cluster/peer-proof.ts';
import { Seal } from '../../../src/control/cluster/sealed.ts';

const [KEY, NEWER, OTHER] = ['11', '22', '33'].map((byte) => byte.repeat(32));
const seal = Seal.of(`${KEY}`);
const TWO = { name: 'shop', instance: 'two' };
const NOW = 1_000_000;

test('who has the key is a peer, for a while', () => {
  const shown = proofFor(seal, 'shop', 'two', NOW);
  expect(isPeer(seal, TWO, shown, NOW + 60_000)).toBe(true);
  expect(isPeer(seal, TWO, shown, NOW - 60_000)).toBe(true);
  expect(isPeer(seal, TWO, shown, NOW + 301_000)).toBe(false);
  expect(isPeer(seal, TWO, shown, NOW - 301_000)).toBe(false);
  // While a key is replaced.
  expect(isPeer(Seal.of(`${NEWER}\n${KEY}`), TWO, shown, NOW)).toBe(true);
});

test('what was shown to another, made with another key, or made up, is none', () => {
  const shown = proofFor(seal, 'shop', 'two', NOW);
  expect(isPeer(seal, { ...TWO, instance: 'three' }, shown, NOW)).toBe(false);
  expect(isPeer(seal, { ...TWO, name: 'other' }, shown, NOW)).toBe(false);
  expect(isPeer(Seal.of(`${OTHER}`), TWO, shown, NOW)).toBe(false);
  expect(isPeer(undefined, TWO, shown, NOW)).toBe(false);
  const sealed = shown.slice('Fairlead-Peer '.length);
  const others = [
    undefined,
    '',
    sealed,
    `Bearer ${sealed}`,
    `${shown} x`,
    shown.slice(0, -2),
    'Fairlead-Peer x',
  ];
  for (const authorization of others) expect(isPeer(seal, TWO, authorization, NOW)).toBe(false);
  const noTime = `Fairlead-Peer ${seal.seal('a call of shop to two', 'soon')}`;
  expect(isPeer(seal, TWO, noTime, NOW)).toBe(false);
});
