/** The keys of the access log, put together. */
import { LOG_FIELDS } from '../snapshot/access-log-rules.ts';
import { ALL_FIELDS, headerOf } from './access-log-schema.ts';
import type { Resolve } from './compile-tls.ts';
import type { MergedConfig } from './merge.ts';
import type { Problem } from './problem.ts';
import type { Settings } from './settings.ts';

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
  return {
    target: target === true ? 'stdout' : { file: resolve(target, ['access_log']) },
    format,
    fields: LOG_FIELDS.filter((field) => isWanted.has(ALL_FIELDS) || isWanted.has(field)),
    headers: [...isWanted].flatMap((field) => headerOf(field) ?? []),
    percent: sampling.percent,
    slowMs: sampling.slow,
    redactedParameters: [...new Set(redact.query)],
    redactedHeaders: [...new Set(redact.headers)],
  };
}
