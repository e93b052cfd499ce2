/**
 * The containers with some labels, of Docker or what speaks its API. Its events say that there is something to see; what there is is
 * listed anew each time, and once a minute whatever they say: networks change without an event of a container.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import type { DockerSettings } from '../../config/discovery-settings.ts';
import { type ApiRequest, askApi, followApi } from './api-request.ts';
import { ApiSource, parsedAs } from './api-source.ts';
import { backendsOf, containers } from './containers.ts';
import type { SourceUser } from './source.ts';

const TIMEOUT_MS = 10_000;
/** And then listed, and followed anew. */
const FOLLOW_MS = 60_000;
/** Events come in bursts; a container that starts again and again makes many. */
const QUIET_MS = 200;
/** The newest that this was written for: a server that is newer still speaks it, or says that it does not. */
const OURS = [1, 51] as const;
const OLDEST = [1, 24] as const;

const event = z.object({ Action: z.string().nullish(), status: z.string().nullish() });

export function dockerSource(
  settings: DockerSettings & { readonly basePath: string },
  user: SourceUser,
): ApiSource {
  const { endpoint, labels } = settings;
  const host = isIP(endpoint.host) === 0 ? '127.0.0.1' : endpoint.host;
  const filter = labels.map(([name, value]) => (value === '' ? name : `${name}=${value}`));
  const request = (path: string, signal: AbortSignal): ApiRequest => {
    return { endpoint, path, timeoutMs: TIMEOUT_MS, signal };
  };
  const list = async (base: string, signal: AbortSignal): Promise<void> => {
    const filters = queryOf({ label: filter, status: ['running'] });
    const { text } = await askApi(request(`${base}/containers/json?${filters}`, signal));
    const { found, leftOut } = backendsOf(parsedAs(text, containers), { ...settings, host });
    await user.onList(found, leftOut);
  };
  return new ApiSource(user, async (signal) => {
    const { headers } = await askApi(request('/_ping', signal));
    const base = `/v${versionOf(headers['api-version'])}`;
    const filters = queryOf({ type: ['container'], label: filter });
    let quiet: NodeJS.Timeout | undefined;
    let listing: Promise<void> = Promise.resolve();
    let fault: unknown;
    // A list that can't be had ends the round, with what follows from that.
    const own = new AbortController();
    const end = (): void => own.abort();
    signal.addEventListener('abort', end, { once: true });
    const listNext = (): void => {
      quiet = undefined;
      listing = listing
        .then(() => (own.signal.aborted ? undefined : list(base, own.signal)))
        .catch((error: unknown) => {
          fault ??= error;
          end();
        });
    };
    try {
      await followApi(request(`${base}/events?${filters}`, own.signal), {
        longestMs: FOLLOW_MS,
        // In this order, so that nothing falls between.
        onOpen: listNext,
        onLine(line) {
          if (isNews(line)) quiet ??= setTimeout(listNext, QUIET_MS).unref();
        },
      });
      await listing;
      if (fault !== undefined) throw fault;
    } finally {
      clearTimeout(quiet);
      end();
      signal.removeEventListener('abort', end);
    }
  });
}

/** As the clients of Docker do it: the newest that both speak. @throws Error */
export function versionOf(header: string | string[] | undefined): string {
  const [, major, minor] = /^(\d{1,3})\.(\d{1,3})$/.exec(String(header)) ?? [];
  if (major === undefined || minor === undefined) {
    throw new Error('GET /_ping names no Api-Version: it is not the API of Docker');
  }
  const theirs = [Number(major), Number(minor)] as const;
  if (isBefore(theirs, OLDEST)) {
    throw new Error(
      `it speaks version ${theirs.join('.')} of the API: at least ${OLDEST.join('.')} is needed`,
    );
  }
  return (isBefore(theirs, OURS) ? theirs : OURS).join('.');
}

function isBefore(a: readonly [number, number], b: readonly [number, number]): boolean {
  return a[0] === b[0] ? a[1] < b[1] : a[0] < b[0];
}

/** Each check that a container makes of itself is a program that is run in it. */
function isNews(line: string): boolean {
  try {
    const { Action, status } = event.parse(JSON.parse(line));
    return !/^(exec_|top|attach)/.test(Action ?? status ?? '');
  } catch {
    return true;
  }
}

function queryOf(filters: Readonly<Record<string, readonly string[]>>): string {
  return `filters=${encodeURIComponent(JSON.stringify(filters))}`;
}
