/** The clock of the control plane: milliseconds since the epoch, as of the start, on a clock that never jumps. */

/** An ejection must not end, nor last for hours, because somebody set the clock. */
export function steadyTime(): number {
  return performance.timeOrigin + performance.now();
}

/** For people: what the wall clock says of that moment, which may have been set since the start. By whole seconds only. */
export function wallTime(steady: number): Date {
  const setBy = Math.round((Date.now() - steadyTime()) / 1000) * 1000;
  return new Date(steady + setBy);
}
