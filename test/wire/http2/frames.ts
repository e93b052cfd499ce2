/** What the tests of frames share: a reader's telling as text, and frames made by hand. */
import type { FrameHandler, FrameLimits } from '../../../src/data/wire/http2/frame-handler.ts';
import { FrameReader, type FrameReaderRole } from '../../../src/data/wire/http2/frame-reader.ts';
import { PREFACE } from '../../../src/data/wire/http2/preface.ts';
import { frame } from '../../support/http2-frames.ts';

export const FRAME_LIMITS: FrameLimits = {
  frameBytes: 16384,
  headerBlockBytes: 32768,
  continuations: 8,
};

export const SETTINGS_FRAME = frame(0x4, 0, 0);
/** What comes before anything else. */
export const CLIENT_START = Buffer.concat([PREFACE, SETTINGS_FRAME]);

export class Recorder implements FrameHandler {
  readonly told: string[] = [];
  /** Stops the reader when so much was told. */
  stopAfter = Number.POSITIVE_INFINITY;
  reader: FrameReader | null = null;

  #tell(text: string): void {
    this.told.push(text);
    if (this.told.length === this.stopAfter) this.reader?.stop();
  }

  onDataStart(streamId: number, length: number): void {
    this.#tell(`data ${streamId} of ${length}`);
  }

  /** Pieces are joined: where they end depends on how the bytes came. */
  onData(streamId: number, buffer: Buffer, start: number, end: number): void {
    const text = `bytes ${streamId} `;
    if (end <= start) throw new Error('an empty piece');
    const last = this.told.at(-1) ?? '';
    const more = buffer.latin1Slice(start, end);
    if (last.startsWith(text)) this.told[this.told.length - 1] = last + more;
    else this.#tell(text + more);
  }

  onDataEnd(streamId: number, endsStream: boolean): void {
    this.#tell(`data end ${streamId}${endsStream ? ', ends' : ''}`);
  }

  onHeaders(
    streamId: number,
    endsStream: boolean,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    this.#tell(
      `headers ${streamId}${endsStream ? ', ends' : ''}: ${buffer.latin1Slice(start, end)}`,
    );
  }

  onReset(streamId: number, code: number): void {
    this.#tell(`reset ${streamId}: ${code}`);
  }

  onSetting(id: number, value: number): void {
    this.#tell(`setting ${id}: ${value}`);
  }

  onSettingsEnd(): void {
    this.#tell('settings end');
  }

  onSettingsAck(): void {
    this.#tell('settings ack');
  }

  onPing(isAck: boolean, buffer: Buffer, start: number): void {
    this.#tell(`ping${isAck ? ' ack' : ''} ${buffer.latin1Slice(start, start + 8)}`);
  }

  onGoaway(lastStreamId: number, code: number, detail: string): void {
    this.#tell(`goaway ${lastStreamId}: ${code} ${detail}`);
  }

  onWindowUpdate(streamId: number, increment: number): void {
    this.#tell(`window ${streamId}: ${increment}`);
  }

  onPriorityUpdate(streamId: number, value: string): void {
    this.#tell(`priority ${streamId}: ${value}`);
  }

  onIgnored(type: number): void {
    this.#tell(`ignored ${type}`);
  }

  onStreamError(streamId: number, code: number): void {
    this.#tell(`stream error ${streamId}: ${code}`);
  }

  onConnectionError(code: number): void {
    this.#tell(`connection error: ${code}`);
  }
}

/** What a reader tells of `bytes`, which come in the pieces that end at `splits`, in rising order. */
export function readFrames(
  role: FrameReaderRole,
  bytes: Buffer,
  {
    limits = FRAME_LIMITS,
    splits = [],
    stopAfter = Number.POSITIVE_INFINITY,
    mostWork = Number.POSITIVE_INFINITY,
  }: {
    limits?: FrameLimits;
    splits?: readonly number[];
    stopAfter?: number;
    mostWork?: number;
  } = {},
): string[] {
  const recorder = new Recorder();
  const reader = new FrameReader(role, recorder, limits);
  recorder.reader = reader;
  recorder.stopAfter = stopAfter;
  let start = 0;
  for (const end of [...splits, bytes.length]) {
    // Each time in other memory, which is lent: what is read later must be a copy.
    const lent = Buffer.concat([Buffer.from('x'), bytes.subarray(start, end), Buffer.from('yz')]);
    let at = 1;
    do {
      at = reader.read(lent, at, lent.length - 2, mostWork);
    } while (at < lent.length - 2 && !reader.isStopped);
    lent.fill('?');
    start = end;
  }
  return recorder.told;
}

/** Of a client that has begun as it must: what follows its empty SETTINGS. */
export function readFromClient(bytes: Buffer, limits = FRAME_LIMITS): string[] {
  return readFrames('server', Buffer.concat([CLIENT_START, bytes]), { limits }).slice(1);
}
