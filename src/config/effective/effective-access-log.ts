/** The access log in force, as a config would say it. */
import { LOG_FIELDS } from '../../snapshot/access-log-rules.ts';
import { ALL_FIELDS, FACILITIES, UNIX } from '../schema/access-log-schema.ts';
import type { AccessLogSettings, Settings } from '../settings.ts';
import { formatDuration } from '../values/duration.ts';
import { bracketed } from '../values/listener-name.ts';

export function accessLogOf(accessLog: Settings['accessLog']): Readonly<Record<string, unknown>> {
  if (accessLog === false) return { access_log: false };
  const { target, format, percent, slowMs } = accessLog;
  return {
    ...targetOf(target),
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

function targetOf(target: AccessLogSettings['target']): Readonly<Record<string, unknown>> {
  if (target === 'stdout') return { access_log: true };
  if ('file' in target) return { access_log: target.file };
  const { server, facility, appName } = target;
  return {
    access_log: server.kind === 'udp' ? udpUrl(server) : `${UNIX}${server.path}`,
    access_log_syslog: { facility: FACILITIES[facility], app_name: appName },
  };
}

function udpUrl({ host, port }: { readonly host: string; readonly port: number }): string {
  return `udp://${bracketed(host)}:${port}`;
}
