/** Sizes in bytes: a plain number, or a text with a unit: `64KiB`, `1MB`. */

const BYTES_PER_UNIT: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1000,
  mb: 1000 ** 2,
  gb: 1000 ** 3,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
};

/** For JSON Schema: what `parseSize` accepts, but for the range. */
export const SIZE_PATTERN = '^\\d+(\\.\\d+)? ?([kKmMgG]i?)?[bB]$|^\\d+$';

const PARTS = /^(\d+(?:\.\d+)?) ?((?:[kmg]i?)?b)?$/i;

export type SizeResult =
  | { readonly ok: true; readonly bytes: number }
  | { readonly ok: false; readonly reason: string; readonly hint?: string };

export function parseSize(text: string): SizeResult {
  const parts = PARTS.exec(text);
  if (parts === null) {
    const [amount, unit] = [text.slice(0, -1), text.slice(-1).toUpperCase()];
    const hint = /^\d+[kmg]$/i.test(text)
      ? `write ${amount}${unit}iB or ${amount}${unit}B`
      : 'bytes, or a number with a unit: 64KiB, 1MB';
    return { ok: false, reason: `${JSON.stringify(text)} is not a size`, hint };
  }
  const bytes = Number(parts[1]) * (BYTES_PER_UNIT[(parts[2] ?? 'b').toLowerCase()] as number);
  if (!Number.isSafeInteger(bytes)) {
    return { ok: false, reason: `${JSON.stringify(text)} is not a whole number of bytes` };
  }
  return { ok: true, bytes };
}

/** A text or number that is read back as the same size: the largest binary unit that divides it, else plain bytes. */
export function formatSize(bytes: number): string | number {
  for (const [unit, size] of [
    ['GiB', 1024 ** 3],
    ['MiB', 1024 ** 2],
    ['KiB', 1024],
  ] as const) {
    if (bytes > 0 && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return bytes;
}
