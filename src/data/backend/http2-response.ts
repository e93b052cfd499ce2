/** Responses of HTTP/2 as a `BackendStreamUser` is told of them. What is read is good until the next one is. */
import { createConnectionOptions } from '../wire/connection-options.ts';
import { BODY_LENGTH, BODY_NONE, createFraming, frameResponse } from '../wire/framing.ts';
import type { Head } from '../wire/head.ts';
import type { FieldList } from '../wire/http2/field-list.ts';
import { Http2Head } from '../wire/http2/http2-head.ts';
import { type ResponseStart, UNKNOWN_LENGTH } from './backend-stream.ts';

const head = new Http2Head();
const framing = createFraming();
let error = '';

/** Nothing is for one hop only that is still there: RFC 9113 §8.2.2. */
const told: { -readonly [Key in keyof ResponseStart]: ResponseStart[Key] } = {
  head,
  options: createConnectionOptions(),
  bodyLength: 0,
  misstatesLength: false,
};

/** @returns null: it is malformed, see `errorOfResponse`. */
export function readResponse(
  list: FieldList,
  endsStream: boolean,
  answersHead: boolean,
): ResponseStart | null {
  const wrong =
    head.readResponse(list, endsStream, answersHead) ??
    frameResponse(head, answersHead, framing, false);
  if (wrong !== null) {
    error = head.detail === '' ? wrong : `${wrong} (${head.detail})`;
    return null;
  }
  // RFC 9110 §8.6: neither 1xx nor 204 has one.
  told.misstatesLength = head.status < 200 || framing.isContradictory;
  if (framing.kind === BODY_NONE) told.bodyLength = 0;
  else told.bodyLength = framing.kind === BODY_LENGTH ? framing.length : UNKNOWN_LENGTH;
  return told;
}

/** @returns null: they are malformed. */
export function readTrailers(list: FieldList): Head | null {
  const wrong = head.readTrailers(list);
  if (wrong === null) return head;
  error = head.detail === '' ? wrong : `${wrong} (${head.detail})`;
  return null;
}

/** What was malformed, for the log. */
export function errorOfResponse(): string {
  return error;
}
