/** What a frame reader tells, and by which limits it reads: see frame-reader.ts. */

/** Is told what comes. It may call `stop` in whatever it is told; then nothing follows. */
export interface FrameHandler {
  /** A DATA frame begins. @param length what it takes from both windows, padding included */
  onDataStart(streamId: number, length: number): void;
  /** Some of its data, never empty: `buffer[start, end)`, borrowed. */
  onData(streamId: number, buffer: Buffer, start: number, end: number): void;
  /** It is complete. */
  onDataEnd(streamId: number, endsStream: boolean): void;
  /** A whole header block, of HEADERS and its CONTINUATIONs: `buffer[start, end)`, borrowed. It must be decoded, always. */
  onHeaders(
    streamId: number,
    endsStream: boolean,
    buffer: Buffer,
    start: number,
    end: number,
  ): void;
  onReset(streamId: number, code: number): void;
  /** One of a SETTINGS frame, in order, and valid; see settings.ts. */
  onSetting(id: number, value: number): void;
  /** That was all of the frame: it is to be acknowledged. */
  onSettingsEnd(): void;
  onSettingsAck(): void;
  /** @param data of 8 bytes: `buffer[start, start + 8)`, borrowed */
  onPing(isAck: boolean, buffer: Buffer, start: number): void;
  /** @param detail what the peer says of it, shortened and printable */
  onGoaway(lastStreamId: number, code: number, detail: string): void;
  /** @param streamId 0: the connection's. @param increment above 0 */
  onWindowUpdate(streamId: number, increment: number): void;
  /** RFC 9218 §7.1, from clients only. @param value of a Priority field, see priority.ts */
  onPriorityUpdate(streamId: number, value: string): void;
  /** A frame that means nothing to us: PRIORITY, and whatever type we don't know. */
  onIgnored(type: number): void;
  /** One stream has an error: RST_STREAM, or that of the connection if the stream is idle. Reading goes on. */
  onStreamError(streamId: number, code: number, detail: string): void;
  /** The connection has: GOAWAY and the end. Nothing follows. */
  onConnectionError(code: number, detail: string): void;
}

export interface FrameLimits {
  /** As our SETTINGS say, and in force at once. */
  readonly frameBytes: number;
  /** Of one header block as it is on the wire. Over it, or of too many frames, it is an ENHANCE_YOUR_CALM. */
  readonly headerBlockBytes: number;
  readonly continuations: number;
}
