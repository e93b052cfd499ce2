/** What the access log gets of the fields of a request. */
import { type AccessLogRules, REDACTED } from '../../snapshot/access-log-rules.ts';
import type { HeaderValue } from '../relay/access-log-entry.ts';
import type { RequestHead } from '../wire/head.ts';

/** Several of one name are joined by commas, as everywhere (RFC 9110 §5.3). */
export function loggedHeaders(head: RequestHead, { headers }: AccessLogRules): HeaderValue[] {
  const found: HeaderValue[] = [];
  for (const { name, isRedacted } of headers) {
    let value: string | null = null;
    for (let field = 0; field < head.fieldCount; field++) {
      if (!head.isNamed(field, name)) continue;
      value = value === null ? head.value(field) : `${value}, ${head.value(field)}`;
    }
    // It says who came with one; a secret goes no further than this.
    if (value !== null) found.push({ name, value: isRedacted ? REDACTED : value });
  }
  return found;
}
