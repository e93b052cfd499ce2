/** What a route answers by itself, and the fields of all its answers. */
import type { Directive } from './nginx-syntax.ts';
import type { Report } from './report.ts';
import type { Scope } from './scope.ts';
import type { Yaml } from './upstreams.ts';
import { templateOf } from './values.ts';

export function responseFields(scope: Scope, report: Report): Yaml {
  const add: Record<string, string> = {};
  for (const directive of scope.all('add_header')) {
    const [name = '', value = '', always] = directive.args;
    const text = templateOf(value);
    if (text === undefined) report.leftOut(directive, 'a variable that there is none for');
    else if (value !== '') add[name.toLowerCase()] = text;
    if (always === undefined && text !== undefined) {
      report.differs(directive, 'Fairlead adds it to every answer, as with "always"');
    }
  }
  const remove = scope.all('proxy_hide_header').map(({ args: [name = ''] }) => name.toLowerCase());
  const fields = {
    ...(Object.keys(add).length > 0 && { add }),
    ...(remove.length > 0 && { remove }),
  };
  return Object.keys(fields).length === 0 ? {} : { response_headers: fields };
}

/** `return 301 URL`, `return URL`, `return 200 text`, `return 404`. */
export function answerOf(directive: Directive, scope: Scope, report: Report): Yaml | undefined {
  const [first = '', second] = directive.args;
  const status = /^\d{3}$/.test(first) ? Number(first) : 302;
  const text = /^\d{3}$/.test(first) ? second : first;
  if ([301, 302, 303, 307, 308].includes(status) && text !== undefined) {
    // The query stays by itself.
    const plain = text.replace(/\$request_uri$|\$uri(\$is_args\$args)?$/, '${path}');
    const to = templateOf(
      plain,
      new Map([
        ['path', '${path}'],
        ['server_name', scope.text('server_name') ?? ''],
      ]),
    );
    if (to !== undefined && /^(\/|https?:\/\/|\$\{(path|scheme)\})/.test(to))
      return { redirect: { to, status } };
    report.leftOut(directive, 'a target that can not be said');
    return undefined;
  }
  if (status < 200 || status > 599 || status === 444) {
    report.leftOut(directive, 'a status that no answer has');
    return undefined;
  }
  if (text?.includes('$')) {
    report.leftOut(directive, 'a text with variables');
    return undefined;
  }
  const type = scope.text('default_type') ?? 'text/plain';
  const body =
    text === undefined || text === '' ? {} : { body: text, headers: { 'content-type': type } };
  return { respond: { status, ...body } };
}
