/** What we tell a client when its HTTP/2 connection begins (RFC 9113 §3.4, §6.5.2), and what follows from that for what it sends. */
import type { DataContext } from '../relay/context.ts';
import type { Http2Output } from '../stream/http2-output.ts';
import type { FrameLimits } from '../wire/http2/frame-handler.ts';
import { DEFAULT_FRAME_SIZE } from '../wire/http2/frame-types.ts';
import {
  SETTING_ENABLE_CONNECT_PROTOCOL,
  SETTING_INITIAL_WINDOW_SIZE,
  SETTING_MAX_CONCURRENT_STREAMS,
  SETTING_MAX_HEADER_LIST_SIZE,
  SETTING_NO_RFC7540_PRIORITIES,
} from '../wire/http2/settings.ts';
import { DEFAULT_WINDOW, ReceiveWindow } from '../wire/http2/windows.ts';
import { Http2Bodies } from './http2-bodies.ts';
import { fieldLimits, takesWebSockets } from './http2-request.ts';

/** Of the body of one request: what may be under way to us, or wait for its backend. */
export const STREAM_WINDOW_BYTES = 256 * 1024;
/** Of all of them: what may be under way. */
const CONNECTION_WINDOW_BYTES = 2 * 1024 * 1024;
/** What may wait for backends on one connection, as a part of what may wait on all (`limits.buffered`). */
const HELD_SHARE = 1 / 32;
/** What Huffman coding can't make smaller, and sizes of the table. */
const BLOCK_OVERHEAD_BYTES = 1024;

export function beginningOf(context: DataContext, output: Http2Output): void {
  const { http2 } = context.view.snapshot.limits;
  const settings = [
    SETTING_MAX_CONCURRENT_STREAMS,
    http2.streams,
    SETTING_INITIAL_WINDOW_SIZE,
    STREAM_WINDOW_BYTES,
    SETTING_MAX_HEADER_LIST_SIZE,
    fieldLimits(context).headBytes,
    SETTING_NO_RFC7540_PRIORITIES,
    1,
  ];
  if (takesWebSockets(context)) settings.push(SETTING_ENABLE_CONNECT_PROTOCOL, 1);
  output.settings(settings);
  output.windowUpdate(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW);
}

export function bodiesOf({ view }: DataContext): Http2Bodies {
  const { bufferedBytes, http2 } = view.snapshot.limits;
  const most = bufferedBytes === 0 ? Number.POSITIVE_INFINITY : bufferedBytes * HELD_SHARE;
  const mostHeld = Math.min(most, http2.streams * STREAM_WINDOW_BYTES);
  return new Http2Bodies(new ReceiveWindow(CONNECTION_WINDOW_BYTES), mostHeld);
}

export function frameLimits({ view }: DataContext): FrameLimits {
  const { headBytes, http2 } = view.snapshot.limits;
  return {
    frameBytes: DEFAULT_FRAME_SIZE,
    headerBlockBytes: headBytes + BLOCK_OVERHEAD_BYTES,
    continuations: http2.continuations,
  };
}
