/** The keys of the access log, put together. */
import { LOG_FIELDS } from '../../snapshot/access-log-rules.ts';
import type { MergedConfig } from '../merge.ts';
import type { Problem } from '../problem.ts';
import { ALL_FIELDS, FACILITIES, headerOf, syslogUrl, UNIX } from '../schema/access-log-schema.ts';
import type { AccessLogSettings, Settings } from '../settings.ts';
import type { Resolve } from './compile-tls.ts';

export function compileAccessLog(
  { config, placeOf, isGiven, isSound }: MergedConfig,
  resolve: Resolve,
  problems: Problem[],
): Settings['accessLog'] {
  const { access_log: target, access_log_format: format, access_log_fields: chosen } = config;
  const path = 'access_log_fields';
  if (format === 'combined' && isGiven([path]) && isSound(path)) {
    problems.push({
      ...placeOf([path], 'key'),
      path,
      message: 'is for lines of JSON, and access_log_format is combined',
      hint: 'take one of them out',
    });
  }
  if (target === false) return false;
  const isWanted = new Set<string>(chosen);
  const { access_log_sampling: sampling, access_log_redact: redact } = config;
  const { access_log_syslog: syslog } = config;
  return {
    target: target === true ? 'stdout' : targetOf(target, syslog, resolve),
    format,
    fields: LOG_FIELDS.filter((field) => isWanted.has(ALL_FIELDS) || isWanted.has(field)),
    headers: [...isWanted].flatMap((field) => headerOf(field) ?? []),
    percent: sampling.percent,
    slowMs: sampling.slow,
    redactedParameters: [...new Set(redact.query)],
    redactedHeaders: [...new Set(redact.headers)],
  };
}

/** @param text as `logTarget` of the schema lets it through */
function targetOf(
  text: string,
  { facility, app_name: appName }: MergedConfig['config']['access_log_syslog'],
  resolve: Resolve,
): Exclude<AccessLogSettings['target'], 'stdout'> {
  const details = { facility: FACILITIES.indexOf(facility), appName };
  const server = syslogUrl(text);
  if (server !== undefined) return { server: { kind: 'udp', ...server }, ...details };
  if (!text.startsWith(UNIX)) return { file: resolve(text, ['access_log']) };
  const path = resolve(text.slice(UNIX.length), ['access_log']);
  return { server: { kind: 'unix', path }, ...details };
}
