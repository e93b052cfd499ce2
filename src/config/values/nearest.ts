/** "Did you mean": the known name that is nearest to a mistyped one. */

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment) that turn `a` into `b`. */
export function editDistance(a: string, b: string): number {
  const width = b.length + 1;
  const cells = new Uint32Array((a.length + 1) * width);
  const at = (row: number, column: number): number => cells[row * width + column] as number;
  for (let row = 0; row <= a.length; row++) {
    for (let column = 0; column <= b.length; column++) {
      let best: number;
      if (row === 0 || column === 0) {
        best = row + column;
      } else {
        const same = a[row - 1] === b[column - 1] ? 0 : 1;
        best = Math.min(
          at(row - 1, column) + 1,
          at(row, column - 1) + 1,
          at(row - 1, column - 1) + same,
        );
        const isSwap =
          row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
        if (isSwap) best = Math.min(best, at(row - 2, column - 2) + 1);
      }
      cells[row * width + column] = best;
    }
  }
  return at(a.length, b.length);
}

function plain(text: string): string {
  return text.toLowerCase().replaceAll(/[-_]/g, '');
}

/** Undefined when nothing is near enough to be a likely slip of the finger. Case and `-`/`_` weigh nothing. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  // Nothing known is this long, and the distance is quadratic: a key may come from anyone who can POST a config.
  if (name.length > 64) return undefined;
  const wanted = plain(name);
  let nearest: string | undefined;
  let least = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of known) {
    const other = plain(candidate);
    if (Math.abs(other.length - wanted.length) >= least) continue;
    const distance = editDistance(wanted, other);
    if (distance < least && distance < candidate.length) {
      nearest = candidate;
      least = distance;
    }
  }
  return nearest;
}

/** Other programs' words for what is known here: the names that may be meant. */
export type Synonyms = ReadonlyMap<string, readonly string[]>;

/** More than these would be a list, not a hint. */
const MOST_SUGGESTED = 3;

/** The hint for a mistyped name, or no hint: spread it into a problem. */
export function didYouMean(
  name: string,
  known: Iterable<string>,
  synonyms: Synonyms = new Map(),
): { readonly hint?: string } {
  const all = [...known];
  const meant = (synonyms.get(name.toLowerCase()) ?? []).filter((one) => all.includes(one));
  if (meant.length > 0) return hintOf(meant);
  const nearest = nearestName(name, all);
  if (nearest !== undefined) return hintOf([nearest]);
  return hintOf(namesThatBeginWith(name, all));
}

function namesThatBeginWith(name: string, known: readonly string[]): readonly string[] {
  const wanted = plain(name);
  if (wanted.length < 2) return [];
  return known.filter((candidate) => plain(candidate).startsWith(wanted));
}

function hintOf(names: readonly string[]): { readonly hint?: string } {
  if (names.length === 0) return {};
  const shown = names.slice(0, MOST_SUGGESTED).map((name) => JSON.stringify(name));
  const isCut = names.length > MOST_SUGGESTED;
  const last = isCut ? 'another that begins so' : (shown.pop() as string);
  const before = shown.length === 0 ? '' : `${shown.join(', ')} or `;
  return { hint: `did you mean ${before}${last}?` };
}
