/** What a look changes on the screen, one piece in each frame: all of it in one would be seen as a halt. */

const waiting = new Set<() => void>();
let isComing = false;

/** @param piece drawn once, however often it is asked for until its turn has come. */
export function inTurn(piece: () => void): void {
  waiting.add(piece);
  if (isComing) return;
  isComing = true;
  requestAnimationFrame(next);
}

/** What is not there any more is not drawn. */
export function giveUpTurn(piece: () => void): void {
  waiting.delete(piece);
}

function next(): void {
  const [piece] = waiting;
  if (piece !== undefined) waiting.delete(piece);
  isComing = waiting.size > 0;
  if (isComing) requestAnimationFrame(next);
  piece?.();
}
