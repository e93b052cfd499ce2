/** What one HTTP/2 connection of a client may cost: keys of `limits`. Part of the schema in schema.ts. */
import { wholeNumber } from './schema-types.ts';

export const http2Limits = {
  http2_streams: wholeNumber(1, 10_000)
    .describe(
      'Requests at once on an HTTP/2 connection of a client; what is more is refused (REFUSED_STREAM).',
    )
    .default(100),
  http2_resets: wholeNumber(1, 1_000_000)
    .describe(
      'Requests that come to nothing on an HTTP/2 connection within a minute: the client resets them, or has to be told that they ' +
        'are malformed. A request that is served to its end gives one back. Past it, the connection ends (ENHANCE_YOUR_CALM).',
    )
    .default(1_000),
  http2_control_frames: wholeNumber(100, 10_000_000)
    .describe(
      'Frames that bring nothing on an HTTP/2 connection within a minute: SETTINGS, PING, PRIORITY, WINDOW_UPDATE, empty DATA, and ' +
        'unknown ones. Requests and bodies pay for some of their own. Past it, the connection ends (ENHANCE_YOUR_CALM).',
    )
    .default(10_000),
  http2_continuations: wholeNumber(0, 1_000)
    .describe('CONTINUATION frames of one head. Past it, the connection ends (ENHANCE_YOUR_CALM).')
    .default(8),
};
