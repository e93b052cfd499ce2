/** Durations as Go writes them: `500ms`, `1m30s`, `1.5h`. In the program a duration is a whole number of milliseconds. */

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3, // U+00B5
  μs: 1e-3, // U+03BC: Go takes both
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** The longest delay that Node's timers hold: a longer one would fire at once. */
export const LONGEST_DURATION_MS = 2 ** 31 - 1;

/** For JSON Schema: what `parseDuration` accepts, but for the range. */
export const DURATION_PATTERN = '^(0|((\\d+(\\.\\d*)?|\\.\\d+)(ns|us|µs|μs|ms|s|m|h))+)$';

const WHOLE = new RegExp(DURATION_PATTERN);
const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

export type DurationResult =
  | { readonly ok: true; readonly ms: number }
  | { readonly ok: false; readonly reason: string; readonly hint?: string };

/** Fractions of a millisecond are rounded, but never down to nothing. */
export function parseDuration(text: string): DurationResult {
  if (!WHOLE.test(text)) {
    const hint = /^\d+(\.\d+)?$/.test(text)
      ? `add a unit: ${text}s or ${text}ms`
      : 'units are ms, s, m and h: 500ms, 30s, 1m30s';
    return { ok: false, reason: `${JSON.stringify(text)} is not a duration`, hint };
  }
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(PART)) {
    ms += Number(amount) * (MS_PER_UNIT[unit as string] as number);
  }
  if (ms > LONGEST_DURATION_MS) {
    return {
      ok: false,
      reason: `${JSON.stringify(text)} is longer than 596h, the longest possible`,
    };
  }
  return { ok: true, ms: ms === 0 ? 0 : Math.max(1, Math.round(ms)) };
}

/** The shortest text that `parseDuration` reads back as the same number. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  let text = '';
  let rest = ms;
  for (const unit of ['h', 'm', 's', 'ms']) {
    const size = MS_PER_UNIT[unit] as number;
    const amount = Math.floor(rest / size);
    rest -= amount * size;
    if (amount > 0) text += `${amount}${unit}`;
  }
  return text;
}
