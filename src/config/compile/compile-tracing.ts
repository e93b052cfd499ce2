/** The key `tracing`, and whether the package is there that it needs. */
import { createRequire } from 'node:module';
import type { MergedConfig } from '../merge.ts';
import type { Problem } from '../problem.ts';
import type { TracingSettings } from '../settings.ts';

/** It is no part of Fairlead: only who exports traces installs it. */
export const EXPORTER_PACKAGE = '@opentelemetry/exporter-trace-otlp-http';

const TRACES_PATH = '/v1/traces';

export function compileTracing(
  { config, placeOf, isSound }: MergedConfig,
  problems: Problem[],
): TracingSettings | null {
  const { tracing, access_log_redact: redact } = config;
  if (tracing === false || !isSound('tracing')) return null;
  if (!isInstalled()) {
    problems.push({
      ...placeOf(['tracing'], 'key'),
      path: 'tracing',
      message: `needs the package ${EXPORTER_PACKAGE}, which is not installed beside Fairlead`,
      hint: `npm install ${EXPORTER_PACKAGE}`,
    });
  }
  const { endpoint, headers, sample, service_name: serviceName } = tracing;
  return {
    endpoint: endpoint === undefined ? undefined : withTracesPath(endpoint),
    headers: Object.entries(headers),
    sample,
    serviceName,
    redactedParameters: [...new Set(redact.query)],
  };
}

function isInstalled(): boolean {
  try {
    createRequire(import.meta.url).resolve(EXPORTER_PACKAGE);
    return true;
  } catch {
    return false;
  }
}

function withTracesPath(endpoint: string): string {
  const base = endpoint.replace(/\/+$/, '');
  return base.endsWith(TRACES_PATH) ? base : base + TRACES_PATH;
}
