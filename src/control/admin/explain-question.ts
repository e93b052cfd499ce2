/** The body of `POST /explain`, as a request that a data thread can read: whatever can stand in a head is its to judge. */
import net from 'node:net';
import type { Question } from '../../snapshot/explanation.ts';
import { clip, type JsonObject, parseObject, requireText } from './body.ts';
import { question as questionForm } from './explain-forms.ts';
import { ProblemError } from './problem.ts';

/** More than any limit of heads lets through, and less than a thread would feel. */
const MOST_BYTES = 256 * 1024;
const MOST_FIELDS = 1_000;
/** Such a request as JSON, with some escapes. */
export const MOST_QUESTION_BYTES = MOST_BYTES + 64 * 1024;

/** @throws ProblemError 400, 422 */
export function readQuestion(body: Buffer): Question {
  const object = parseObject(body, questionForm);
  const host = requireText(object, 'host');
  const question = {
    method: word(object, 'method', 'GET'),
    target: word(object, 'path', '/'),
    host: inHead('host', host),
    fields: fieldsOf(object['headers']),
    peerAddress: clientOf(object),
    scheme: schemeOf(object),
  };
  const { method, target, fields } = question;
  const size = fields.reduce(
    (sum, [name, value]) => sum + name.length + value.length + 4,
    method.length + target.length + host.length,
  );
  if (size > MOST_BYTES) {
    throw bad(`The request has ${size} bytes; at most ${MOST_BYTES} are explained.`);
  }
  return question;
}

function textOr(object: JsonObject, key: string, otherwise: string): string {
  return object[key] === undefined ? otherwise : requireText(object, key);
}

/** What stands between spaces in a request line. */
function word(object: JsonObject, key: string, otherwise: string): string {
  const text = inHead(key, textOr(object, key, otherwise));
  if (text === '' || /[\t ]/.test(text)) {
    throw bad(`"${key}" must be one word without spaces, not ${JSON.stringify(clip(text))}.`);
  }
  return text;
}

/** Nothing may make two lines of one, or another character of what was written. */
function inHead(key: string, text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\0\r\n]|[^\0-\xff]/.test(text)) {
    throw bad(`${JSON.stringify(clip(key))} has a character that no head of a request can have.`, {
      hint: 'no line breaks; a path is percent-encoded',
    });
  }
  return text;
}

function fieldsOf(headers: unknown): [string, string][] {
  if (headers === undefined) return [];
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) {
    throw bad('"headers" must be an object of names and values.');
  }
  const fields = Object.entries(headers).flatMap(([name, value]) => fieldLines(name, value));
  if (fields.length > MOST_FIELDS) {
    throw bad(`There are ${fields.length} header fields; at most ${MOST_FIELDS} are explained.`);
  }
  return fields;
}

function fieldLines(name: string, value: unknown): [string, string][] {
  inHead(name, name);
  if (name === '' || name.includes(':')) {
    throw bad(`${JSON.stringify(clip(name))} is no name of a header field.`);
  }
  if (name.toLowerCase() === 'host') throw bad('The Host field is what "host" says.');
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return values.map((one) => {
    if (typeof one === 'string') return [name, inHead(name, one)];
    throw bad(
      `The header field ${JSON.stringify(clip(name))} must be a string, or a list of them.`,
    );
  });
}

function clientOf(object: JsonObject): string {
  const client = textOr(object, 'client', '127.0.0.1');
  if (net.isIP(client) === 0 || client.includes('%')) {
    throw bad(`"client" must be an IP address, not ${JSON.stringify(clip(client))}.`);
  }
  return client;
}

function schemeOf(object: JsonObject): 'http' | 'https' {
  const scheme = textOr(object, 'scheme', 'http');
  if (scheme === 'http' || scheme === 'https') return scheme;
  throw bad(`"scheme" must be http or https, not ${JSON.stringify(clip(scheme))}.`);
}

function bad(detail: string, more: { readonly hint?: string } = {}): ProblemError {
  return new ProblemError(422, 'ERR_INVALID_VALUE', detail, more);
}
