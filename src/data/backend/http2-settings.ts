/** What we tell a backend when its HTTP/2 connection begins (RFC 9113 §3.4, §6.5.2). */
import type { Http2Output } from '../stream/http2-output.ts';
import {
  SETTING_ENABLE_PUSH,
  SETTING_INITIAL_WINDOW_SIZE,
  SETTING_MAX_HEADER_LIST_SIZE,
} from '../wire/http2/settings.ts';

/** What a backend may send of a body that its client does not read. */
export const STREAM_WINDOW = 256 * 1024;

/**
 * Leaves at once: nothing else is said until the backend's own SETTINGS have come.
 * @param windowIncrement by which the connection's window is larger than it is by default.
 */
export function beginWith(
  output: Http2Output,
  headListBytes: number,
  windowIncrement: number,
): void {
  output.preface();
  output.settings([
    SETTING_ENABLE_PUSH,
    0,
    SETTING_INITIAL_WINDOW_SIZE,
    STREAM_WINDOW,
    SETTING_MAX_HEADER_LIST_SIZE,
    headListBytes,
  ]);
  output.windowUpdate(0, windowIncrement);
  output.writeNow();
}
