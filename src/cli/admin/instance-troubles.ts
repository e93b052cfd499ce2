/** What is wrong with the running instance itself, and with none of its backends: the lines above the tables of `status` and `top`. */
import { printable } from '../../observe/pretty-line.ts';
import { type AdminClient, AdminError, type JsonObject } from './admin-client.ts';
import type { PoolStatus } from './pool-status.ts';

const NOT_READY = 503;

/** @throws AdminError where the instance does not answer any more */
export async function troublesOf(
  client: AdminClient,
  status: Pick<PoolStatus, 'rate_limit_engine' | 'refused_reload'> | undefined,
): Promise<readonly string[]> {
  const lines = [
    ...(await readinessLines(client)),
    ...engineLines(status?.rate_limit_engine),
    ...reloadLines(status?.refused_reload),
  ];
  return lines.map(printable);
}

async function readinessLines(client: AdminClient): Promise<string[]> {
  try {
    const why = degradedWhy(await client.callForObject('GET', '/readyz'));
    return why === undefined ? [] : [`DEGRADED: ${why}`];
  } catch (error) {
    if (!(error instanceof AdminError) || error.status === 0) throw error;
    // Where it does not say so itself, something else stands before it, and lets other calls through.
    return error.status === NOT_READY ? [`NOT READY: ${error.message}`] : [];
  }
}

/** @param answer of `/readyz`. Undefined: nothing. */
export function degradedWhy({ degraded, why }: JsonObject): string | undefined {
  if (degraded !== true) return undefined;
  return typeof why === 'string' ? why : 'it does not say why';
}

const WITHOUT_ENGINE: Readonly<Record<string, string>> = {
  local: 'it allows its part of them',
  open: 'it allows all',
  closed: 'it answers 503',
};

function engineLines(engine: PoolStatus['rate_limit_engine']): string[] {
  if (engine?.state !== 'down') return [];
  const { url, last_error: reason, on_engine_down: modes } = engine;
  const said = reason === null ? '' : ` (${reason})`;
  const doing = modes?.map((mode) => `${mode}: ${WITHOUT_ENGINE[mode] ?? 'as the config says'}`);
  const how = doing === undefined ? ' by on_engine_down' : ` (${doing.join('; ')})`;
  const limits = doing?.length === 0 ? '' : `global limits${how} and `;
  return [
    `DEGRADED: ${url} does not answer${said}: this instance decides alone about ${limits}sessions`,
  ];
}

function reloadLines(refused: PoolStatus['refused_reload']): string[] {
  if (refused === undefined) return [];
  const { at, reason } = refused;
  return [`CONFIG REFUSED at ${at}, the one before is in force: ${reason}`];
}
