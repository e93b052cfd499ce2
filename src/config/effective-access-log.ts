/** The access log in force, as a config would say it. */
import { LOG_FIELDS } from '../snapshot/access-log-rules.ts';
import { ALL_FIELDS } from './access-log-schema.ts';
import { formatDuration } from './duration.ts';
import type { AccessLogSettings, Settings } from './settings.ts';

export function accessLogOf(accessLog: Settings['accessLog']): Readonly<Record<string, unknown>> {
  if (accessLog === false) return { access_log: false };
  const { target, format, percent, slowMs } = accessLog;
  return {
    access_log: target === 'stdout' || target.file,
    access_log_format: format,
    ...(format === 'json' ? { access_log_fields: fieldsOf(accessLog) } : {}),
    access_log_sampling: { percent, slow: slowMs === 0 ? false : formatDuration(slowMs) },
    access_log_redact: {
      query: accessLog.redactedParameters,
      headers: accessLog.redactedHeaders,
    },
  };
}

function fieldsOf({ fields, headers }: AccessLogSettings): string[] {
  const own = fields.length === LOG_FIELDS.length ? [ALL_FIELDS] : fields;
  return [...own, ...headers.map((name) => `header.${name}`)];
}
