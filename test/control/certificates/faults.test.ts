/** What is told of files that are broken: each once, and no flood. */
import { expect, test } from 'vitest';
import { Certificates } from '../../../src/control/certificates/certificates.ts';
import { notesOnFaults } from '../../../src/control/certificates/read-again.ts';
import type { Operator } from '../../../src/control/operator.ts';
import { Registry } from '../../../src/control/registry.ts';
import type { Logger } from '../../../src/observe/logger.ts';
import { settings } from '../fixtures.ts';

const FAULTS = Array.from({ length: 1_000 }, (_, index) => ({
  file: `/certs/${index}.pem`,
  message: `/certs/${index}.pem holds nothing`,
}));

test('of a thousand, twenty lines and how many more; again only what is new', () => {
  const said: string[] = [];
  const log = { error: (_event: string, text: string) => void said.push(text) };
  const certificates = new Certificates({
    registry: new Registry({ settings: settings(), threadCount: 1 }),
    operator: {} as Operator,
    log: log as unknown as Logger,
    publish() {},
  });
  certificates.tellFaults(FAULTS.slice(0, 1));
  expect(said).toEqual([
    'a certificate is not taken up: /certs/0.pem holds nothing. There is none in its place',
  ]);
  certificates.tellFaults(FAULTS);
  expect(said).toHaveLength(22);
  expect(said.at(-1)).toBe('979 certificates more are not taken up: GET /certificates tells all');
  certificates.tellFaults(FAULTS);
  expect(said).toHaveLength(22);
  expect(certificates.faults).toHaveLength(1_000);
  expect(certificates.counts.refused).toBe(1_000);
  certificates.stop();
  expect(notesOnFaults(FAULTS)).toHaveLength(101);
  expect(notesOnFaults(FAULTS.slice(0, 100))).toHaveLength(100);
});
