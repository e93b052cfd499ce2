/** Which part of a split route a request gets: shares, clients that stay, and parts that have nobody. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PoolView } from '../../src/data/pool/pool-view.ts';
import { Split } from '../../src/data/pool/split.ts';
import type { Sticky } from '../../src/snapshot/snapshot.ts';
import { getWith, held } from '../wire/parse.ts';

const NO_LOGINS = { hasAny: false, isIn: () => false };
const NO_FIELDS = held('request', getWith());
const BY_IP: Sticky = {
  key: { by: 'ip', name: '' },
  ttlMs: 1000,
  cookie: null,
  learns: null,
  isShared: false,
};
const COOKIE = { sameSite: 'lax', secure: false, domain: '', path: '/' } as const;

interface Written {
  readonly name: string;
  readonly weight: number;
  readonly sticky?: Sticky | null;
  readonly isDown?: boolean;
  /** The value of its cookie, or of what its backends call a session. */
  readonly session?: string;
}

function splitOf(written: readonly Written[], random = 0.3): Split<string> {
  const parts = written.map(({ name, weight, sticky = null, isDown = false, session }) => {
    const view = {
      spec: { sticky },
      eligible: isDown ? [] : [{}],
      sessions: sticky === null ? null : { isKnown: (key: string) => key === session },
    } as unknown as PoolView;
    return { name, weight, view, target: name };
  });
  return new Split(parts, random);
}

function byCookie(name: string): Sticky {
  return { ...BY_IP, key: { by: 'cookie', name }, cookie: COOKIE };
}

/** How many of so many requests each part gets. */
function sharesOf(split: Split<string>, count: number, clientOf: (one: number) => string) {
  const shares = new Map<string, number>();
  for (let one = 0; one < count; one++) {
    const part = split.choose(NO_FIELDS, '/', clientOf(one), NO_LOGINS);
    shares.set(part, (shares.get(part) ?? 0) + 1);
  }
  return shares;
}

const client = (one: number): string => `10.${one >> 16}.${(one >> 8) & 255}.${one & 255}`;

/** Some parts, not all of them of no weight. */
const weights = fc
  .array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 6 })
  .filter((all) => all.some((weight) => weight > 0));

function partsOf(all: readonly number[], sticky: Sticky | null): Written[] {
  return all.map((weight, index) => ({ name: `part-${index}`, weight, sticky }));
}

function stableOf(weight: number): Written {
  return { name: 'stable', weight, sticky: BY_IP };
}

function canaryOf(weight: number): Written {
  return { name: 'canary', weight, sticky: BY_IP };
}

const CLIENTS = 5000;

function placesOf(parts: readonly Written[], random = 0.3): string[] {
  const split = splitOf(parts, random);
  return Array.from({ length: CLIENTS }, (_, one) =>
    split.choose(NO_FIELDS, '/', client(one), NO_LOGINS),
  );
}

function cookies(text: string) {
  return held('request', getWith(`Cookie: ${text}`));
}

function threeParts(isOneDown: boolean): Written[] {
  return [
    { name: 'a', weight: 10, sticky: BY_IP },
    { name: 'b', weight: 10, sticky: BY_IP, isDown: isOneDown },
    { name: 'c', weight: 10, sticky: BY_IP },
  ];
}

describe('by turns', () => {
  test('each part gets its share, wherever the turns begin', () => {
    const start = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(weights, start, (all, random) => {
        const count = 1000;
        const shares = sharesOf(splitOf(partsOf(all, null), random), count, () => 'one');
        const total = all.reduce((sum, weight) => sum + weight, 0);
        for (const [index, weight] of all.entries()) {
          const share = shares.get(`part-${index}`) ?? 0;
          expect(Math.abs(share - (count * weight) / total)).toBeLessThan(8);
        }
      }),
    );
  });

  test('also of those requests that are every second, third or tenth one', () => {
    for (const every of [2, 3, 7, 10]) {
      const split = splitOf([
        { name: 'stable', weight: 90 },
        { name: 'canary', weight: 10 },
      ]);
      let canary = 0;
      for (let one = 0; one < 1000 * every; one++) {
        const part = split.choose(NO_FIELDS, '/', 'one', NO_LOGINS);
        if (one % every === 0 && part === 'canary') canary++;
      }
      expect([every, Math.abs(canary - 100) < 10]).toEqual([every, true]);
    }
  });
});

describe('by a hash of the client', () => {
  test('each part gets its share of the clients', () => {
    fc.assert(
      fc.property(weights, (all) => {
        const shares = sharesOf(splitOf(partsOf(all, BY_IP)), CLIENTS, client);
        const total = all.reduce((sum, weight) => sum + weight, 0);
        for (const [index, weight] of all.entries()) {
          const share = (shares.get(`part-${index}`) ?? 0) / CLIENTS;
          expect(Math.abs(share - weight / total)).toBeLessThan(0.04);
          expect(weight > 0 || share === 0).toBe(true);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('a client has the same part in every thread, in whatever order the parts stand', () => {
    const places = placesOf([stableOf(90), canaryOf(10)], 0.1);
    expect(placesOf([stableOf(90), canaryOf(10)], 0.9)).toEqual(places);
    expect(placesOf([canaryOf(10), stableOf(90)], 0.5)).toEqual(places);
    // Only what they are to each other counts.
    expect(placesOf([stableOf(900), canaryOf(100)])).toEqual(places);
  });

  test('a weight that changes moves the share that must, and one way only', () => {
    const before = placesOf([stableOf(90), canaryOf(10)]);
    const after = placesOf([stableOf(70), canaryOf(30)]);
    const moved = before.flatMap((part, one) =>
      part === after[one] ? [] : [`${part} to ${after[one]}`],
    );
    expect(new Set(moved)).toEqual(new Set(['stable to canary']));
    expect(Math.abs(moved.length / CLIENTS - 0.2)).toBeLessThan(0.03);
  });

  test('a part that is new takes its share of each, and moves nobody between them', () => {
    const before = placesOf([stableOf(50), canaryOf(50)]);
    const after = placesOf([
      stableOf(50),
      canaryOf(50),
      { name: 'third', weight: 50, sticky: BY_IP },
    ]);
    const moved = before.filter((part, one) => part !== after[one]);
    const isToThird = before.every((part, one) => after[one] === 'third' || part === after[one]);
    expect(isToThird).toBe(true);
    expect(Math.abs(moved.length / CLIENTS - 1 / 3)).toBeLessThan(0.03);
  });

  test('what a client is told apart by is what the pool goes by, else its address', () => {
    const byHeader: Sticky = { ...BY_IP, key: { by: 'header', name: 'x-user' } };
    const split = splitOf([
      { name: 'a', weight: 50, sticky: byHeader },
      { name: 'b', weight: 50, sticky: byHeader },
    ]);
    const partOf = (user: string, address: string): string =>
      split.choose(held('request', getWith(`X-User: ${user}`)), '/', address, NO_LOGINS);
    const users = Array.from({ length: 50 }, (_, one) => `user-${one}`);
    for (const user of users) expect(partOf(user, client(1))).toBe(partOf(user, client(2)));
    expect(new Set(users.map((user) => partOf(user, client(1)))).size).toBe(2);
    const address = client(7);
    expect(split.choose(NO_FIELDS, '/', address, NO_LOGINS)).toBe(partOf(address, client(1)));
  });
});

describe('by a session that the client carries', () => {
  const parts: Written[] = [
    { name: 'stable', weight: 1, sticky: byCookie('s'), session: 'good-s' },
    { name: 'canary', weight: 0, sticky: byCookie('c'), session: 'good-c' },
  ];

  test.each([
    ['s=good-s', 'stable'],
    // A weight of 0 is no new clients.
    ['c=good-c', 'canary'],
    ['c=forged', 'stable'],
    ['c=good-s', 'stable'],
    ['s=gone; c=good-c', 'canary'],
    ['c=good-c; s=good-s', 'stable'],
  ])('Cookie: %s leads to %s', (text, part) => {
    const split = splitOf(parts);
    for (let one = 0; one < 20; one++) {
      expect(split.choose(cookies(text), '/', 'one', NO_LOGINS)).toBe(part);
    }
  });

  test('whoever has none is taken by turns', () => {
    const both = parts.map((part) => ({ ...part, weight: 50 }));
    const shares = sharesOf(splitOf(both), 100, () => 'one');
    expect(Math.abs((shares.get('stable') ?? 0) - 50)).toBeLessThan(4);
  });
});

describe.each([
  ['turns', null],
  ['hash', BY_IP],
] as const)('a part whose pool has nobody, by %s', (_, sticky) => {
  const three = (...down: readonly string[]): Written[] =>
    ['a', 'b', 'c'].map((name) => ({ name, weight: 10, sticky, isDown: down.includes(name) }));

  test('is passed over: the others share', () => {
    const shares = sharesOf(splitOf(three('b')), 2000, client);
    expect(shares.get('b')).toBeUndefined();
    expect(Math.abs((shares.get('a') ?? 0) - 1000)).toBeLessThan(100);
  });

  test('is not replaced by one of the weight 0', () => {
    const parts = [
      { name: 'a', weight: 1, sticky, isDown: true },
      { name: 'b', weight: 0, sticky },
    ];
    expect([...sharesOf(splitOf(parts), 100, client)]).toEqual([['a', 100]]);
  });

  test('nor by another that has nobody: each answers for its share', () => {
    const shares = sharesOf(splitOf(three('a', 'b', 'c')), 300, client);
    expect([...shares.keys()].toSorted()).toEqual(['a', 'b', 'c']);
  });
});

test('clients of a part that is down are shared among the others, and nobody else moves', () => {
  const [up, down] = [splitOf(threeParts(false)), splitOf(threeParts(true))];
  const takers = new Set<string>();
  for (let one = 0; one < 1000; one++) {
    const [before, after] = [up, down].map((split) =>
      split.choose(NO_FIELDS, '/', client(one), NO_LOGINS),
    );
    const mayMove = before === 'b';
    if (mayMove) takers.add(after ?? '');
    expect(mayMove || after === before).toBe(true);
  }
  expect([...takers].toSorted()).toEqual(['a', 'c']);
});
