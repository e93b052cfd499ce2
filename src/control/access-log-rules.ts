/** What the data threads are told of the access log. */
import type { Settings } from '../config/settings.ts';
import { type AccessLogRules, ALL, bitsOf } from '../snapshot/access-log-rules.ts';

const OFF: AccessLogRules = {
  isEnabled: false,
  format: 'json',
  fields: 0,
  headers: [],
  redactedParameters: [],
  share: 0,
  slowMs: 0,
};

export function accessLogRules(settings: Settings['accessLog']): AccessLogRules {
  if (settings === false) return OFF;
  const { format, fields, headers, percent, slowMs, redactedHeaders } = settings;
  const secrets = new Set(redactedHeaders);
  return {
    isEnabled: true,
    format,
    fields: bitsOf(fields),
    headers:
      format === 'json' ? headers.map((name) => ({ name, isRedacted: secrets.has(name) })) : [],
    redactedParameters: settings.redactedParameters,
    share: Math.round((percent / 100) * ALL),
    slowMs: slowMs === 0 ? Number.POSITIVE_INFINITY : slowMs,
  };
}
