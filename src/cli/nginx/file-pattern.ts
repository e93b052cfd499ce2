/**
 * Patterns for names of files, as glob(3) has them: `*`, `?` and `[a-z]`. A name is looked at from star to star: as a regular
 * expression, `*a*a*a*x` takes hours for a long name.
 */

/** One character of a name; null: any number of any. */
type Piece = ((character: string) => boolean) | null;

export function filePattern(pattern: string): (name: string) => boolean {
  const pieces = (pattern.match(/\[[^\]]+\]|./gsu) ?? []).map(pieceOf);
  return (name) => matches(pieces, [...name]);
}

function pieceOf(piece: string): Piece {
  if (piece === '*') return null;
  if (piece === '?') return () => true;
  return piece.length > 2 && piece.startsWith('[')
    ? oneOf(piece)
    : (character) => character === piece;
}

/** `[abc]`, `[a-z]`, `[!a-z]`. */
function oneOf(piece: string): (character: string) => boolean {
  const source = piece.replace(/^\[!/, '[^').replaceAll('\\', '\\\\');
  try {
    const expression = new RegExp(`^${source}$`, 's');
    return (character) => expression.test(character);
  } catch {
    // `[z-a]` stands for no character.
    return () => false;
  }
}

/** The last star is the only one that may have to take more: what stands before it has found its place already. */
function matches(pieces: readonly Piece[], name: readonly string[]): boolean {
  let piece = 0;
  let at = 0;
  let star = -1;
  let taken = 0;
  while (at < name.length) {
    const one = pieces[piece];
    if (one === null) {
      star = piece++;
      taken = at;
    } else if (one !== undefined && one(name[at] ?? '')) {
      piece++;
      at++;
    } else if (star !== -1) {
      piece = star + 1;
      at = ++taken;
    } else {
      return false;
    }
  }
  return pieces.slice(piece).every((one) => one === null);
}
