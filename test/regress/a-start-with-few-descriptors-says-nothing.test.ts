/** With `ulimit -n 64` most clients were closed at once, and the log of the start had no word of it. */
import { expect, test } from 'vitest';
import { fewDescriptors } from '../../src/control/open-files.ts';

test('it says for how many clients there is room', () => {
  // Sixteen are held back.
  expect(fewDescriptors(64, 40)).toMatch(/^there is room for 8 client connections .* 40 of 64 /);
  expect(fewDescriptors(64, 60)).toContain('room for 0 client');
});

test('and nothing where there is enough, or where nobody knows', () => {
  const held = 16;
  expect(fewDescriptors(40 + 99 + held, 40)).toContain('room for 99 client');
  expect(fewDescriptors(40 + 100 + held, 40)).toBeUndefined();
  expect(fewDescriptors(undefined, 40)).toBeUndefined();
  expect(fewDescriptors(64, undefined)).toBeUndefined();
});
