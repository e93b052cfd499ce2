/** What both sides do with a plan, whatever they speak: each has an `out` that does it on its connection. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Compared, Draw, piecesOf, trailerOf } from './plan.mjs';

const MOST_ERROR_BYTES = 4096;

/**
 * Sends a body, up to `most` bytes of it.
 * @param {{ write(bytes: Buffer): Promise<boolean> }} out its `write` gives false once nothing more can be sent
 * @returns {Promise<boolean>} whether all of that was sent
 */
async function sendBody(out, message, draw, most, onSend) {
  for (const { bytes, waitMs } of piecesOf(message.bytes.subarray(0, most), message.pieces, draw)) {
    if (waitMs > 0) await sleep(waitMs);
    onSend(bytes.length);
    if (!(await out.write(bytes))) return false;
  }
  return true;
}

/** What a backend has seen and done of one exchange. */
export class Attempt {
  plan;
  /** So many came before it. */
  number;
  body;
  /** The whole request has come, and it was right. */
  isWhole = false;
  /** It was said to be whole and is not. */
  isShort = false;
  isHeadWrong = false;
  areTrailersWrong = false;
  /** It ended from the other side, or its connection did. */
  isBroken = false;
  /** As a plan has it, or `collateral`: its connection has failed because of another exchange. */
  failed = '';
  sent = 0;
  hasAnswered = false;
  #onProgress = null;

  constructor(plan, number) {
    this.plan = plan;
    this.number = number;
    this.body = new Compared(plan.request.bytes);
  }

  onHead(method, fields) {
    const { plan } = this;
    const { length, hasLength } = plan.request;
    this.isHeadWrong =
      method !== plan.method ||
      fields.get('x-field') !== plan.field ||
      (hasLength && length > 0 && fields.get('content-length') !== String(length));
  }

  onData(bytes) {
    this.body.push(bytes);
    this.#progress();
  }

  onEnd(trailers) {
    const { request, index } = this.plan;
    this.isWhole = this.body.isWhole;
    this.isShort = !this.isWhole;
    this.areTrailersWrong = request.hasTrailers && trailers.get('x-end') !== trailerOf(index);
    this.#progress();
  }

  onBroken() {
    this.isBroken = true;
    this.#progress();
  }

  #progress() {
    this.#onProgress?.();
  }

  /** Until so much of the request has come; for all of it, until its end. @returns {Promise<boolean>} false: it won't */
  async reached(length) {
    const isAll = length === this.plan.request.length;
    const isThere = () => (isAll ? this.isWhole || this.isShort : this.body.length >= length);
    while (!isThere() && !this.isBroken) {
      await new Promise((resolve) => {
        this.#onProgress = resolve;
      });
      this.#onProgress = null;
    }
    return isThere() && !this.isBroken;
  }

  /** As the experiment gets it. */
  toJSON() {
    const { failed, isWhole, isShort, isHeadWrong, areTrailersWrong, hasAnswered, sent, body } =
      this;
    const isWrong = body.isWrong;
    return { failed, isWhole, isShort, isHeadWrong, areTrailersWrong, hasAnswered, sent, isWrong };
  }
}

/**
 * A backend's part.
 * @param {Attempt} attempt
 */
export async function answerTo(attempt, out) {
  const { plan, number } = attempt;
  const { answer, index } = plan;
  const fault = plan.fault !== null && number < plan.fault.times ? plan.fault : null;
  const draw = new Draw(plan.seed, 3);
  if (fault?.kind === 'refuse' || fault?.kind === 'unseen') {
    attempt.failed = fault.kind;
    out.fail(fault);
    return;
  }
  const isEarlyFault = fault?.isAtHead && (fault.kind === 'before' || fault.kind === 'kill');
  if (!isEarlyFault && !(await attempt.reached(answer.after))) return;
  if (fault?.kind === 'before' || fault?.kind === 'kill') {
    attempt.failed = fault.kind;
    out.fail(fault);
    return;
  }
  for (let interim = 0; interim < answer.interim; interim++) out.interim(index);
  const fields = [
    ['x-index', String(index)],
    ['x-field', plan.field],
    ...Array.from({ length: answer.cookies }, (_, cookie) => ['set-cookie', `c${cookie}=${index}`]),
  ];
  if (answer.hasLength) fields.push(['content-length', String(answer.length)]);
  const isAllHead = answer.isBare || (answer.length === 0 && !answer.hasTrailers);
  if (fault?.kind === 'goaway') out.goAway();
  out.head(answer, fields, isAllHead);
  const most = fault?.kind === 'during' ? fault.at : answer.length;
  const isSent = await sendBody(out, answer, draw, most, (length) => {
    attempt.sent += length;
  });
  if (fault?.kind === 'during') {
    attempt.failed = fault.kind;
    out.fail(fault);
    return;
  }
  if (!isSent) return;
  attempt.hasAnswered = true;
  if (!isAllHead) out.end(answer, answer.hasTrailers ? [['x-end', trailerOf(index)]] : []);
  out.done(answer);
}

/** What a client has sent and seen of one exchange. */
export class Visit {
  plan;
  beganMs = Date.now();
  endedMs = 0;
  status = 0;
  /** Of Fairlead, where it has answered itself. */
  code = '';
  interim = 0;
  body;
  isHeadWrong = false;
  areTrailersWrong = false;
  sent = 0;
  /** So that its request may be whole to a backend. */
  hasSentAll = false;
  /** Nothing of it is left to be sent. */
  hasEnded = false;
  /** As its plan has it, or because its connection was to end. */
  hasLeft = false;
  /** `whole`, or why it is not. */
  end = '';
  #error = null;
  #onEnd;
  #onLeave = null;
  #timer = null;

  /** @param {() => void} onEnd */
  constructor(plan, onEnd) {
    this.plan = plan;
    this.body = new Compared(plan.answer.bytes);
    this.#onEnd = onEnd;
  }

  /** What to do when it is time to leave. */
  leavesBy(leave) {
    const { leaving } = this.plan;
    this.#onLeave = () => {
      if (this.end !== '') return;
      this.hasLeft = true;
      leave(leaving.how);
    };
    if (leaving?.when === 'ms') this.#timer = setTimeout(this.#onLeave, leaving.at);
  }

  onHead(status, fields) {
    if (status < 200) {
      this.interim++;
      return;
    }
    const { plan } = this;
    this.status = status;
    if (!fields.has('x-index')) {
      this.#error = [];
      return;
    }
    const cookies = Array.from(
      { length: plan.answer.cookies },
      (_, cookie) => `c${cookie}=${plan.index}`,
    );
    this.isHeadWrong =
      status !== plan.answer.status ||
      fields.get('x-index') !== String(plan.index) ||
      fields.get('x-field') !== plan.field ||
      (fields.get('set-cookie') ?? '') !== cookies.join('\n');
  }

  onData(bytes) {
    if (this.#error !== null) {
      if (this.#error.length < MOST_ERROR_BYTES) this.#error.push(bytes);
      return;
    }
    this.body.push(bytes);
    const { leaving } = this.plan;
    if (leaving?.when === 'received' && this.body.length > leaving.at) this.#onLeave?.();
  }

  onEnd(trailers) {
    const { answer, index } = this.plan;
    if (this.#error !== null) {
      [, this.code = 'none'] = /"code": ?"(\w+)"/.exec(Buffer.concat(this.#error).toString()) ?? [];
      if (this.plan.method === 'HEAD') this.code = 'HEAD';
    } else this.areTrailersWrong = answer.hasTrailers && trailers.get('x-end') !== trailerOf(index);
    this.#over('whole');
  }

  onBroken(why) {
    this.#over(why);
  }

  #over(end) {
    if (this.end !== '') return;
    this.end = end;
    this.endedMs = Date.now();
    clearTimeout(this.#timer);
    this.#onEnd();
  }

  /** Its head was all of its request. */
  sentNothing() {
    this.hasSentAll = true;
    this.hasEnded = true;
  }

  /** Sends the request’s body. */
  async send(out) {
    const { plan } = this;
    const { request, leaving, index } = plan;
    const isLeaving = leaving?.when === 'sent';
    const most = isLeaving ? leaving.at : request.length;
    const isSent = await sendBody(out, request, new Draw(plan.seed, 4), most, (length) => {
      this.sent += length;
      if (request.hasLength && this.sent === request.length) this.hasSentAll = true;
    });
    if (isLeaving) this.#onLeave();
    if (!isSent || this.end !== '' || this.hasLeft) return;
    this.hasSentAll = true;
    this.hasEnded = true;
    out.end(request.hasTrailers ? [['x-end', trailerOf(index)]] : []);
  }

  /** The fields of its request, beside those of its connection. */
  get fields() {
    const { request, field } = this.plan;
    return [
      ['accept', 'application/json'],
      ['te', 'trailers'],
      ['x-field', field],
      ...(request.length > 0 && request.hasLength
        ? [['content-length', String(request.length)]]
        : []),
    ];
  }

  /** As the experiment gets it. */
  toJSON() {
    const { plan, body, ...rest } = this;
    return {
      ...rest,
      index: plan.index,
      bytes: body.length,
      isWrong: body.isWrong,
      isWhole: body.isWhole,
    };
  }
}
