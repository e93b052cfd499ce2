/** Those of `current`, and of what has left as long as something is under way there. */
export function holdCounters(
  held: Map<number, SharedArrayBuffer>,
  current: readonly { readonly id: number; readonly counters: SharedArrayBuffer }[],
  isInUse: (buffer: SharedArrayBuffer) => boolean,
): void {
  const isAsBefore = ({ id, counters }: (typeof current)[number]) => held.get(id) === counters;
  if (held.size === current.length && current.every(isAsBefore)) return;
  const ids = new Set(current.map(({ id }) => id));
  for (const [id, buffer] of held) if (!ids.has(id) && !isInUse(buffer)) held.delete(id);
  for (const { id, counters } of current) held.set(id, counters);
}
