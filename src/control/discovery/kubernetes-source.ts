/**
 * The endpoints of a service of Kubernetes: its EndpointSlices are listed once, and watched from there on. A watch that ends is
 * begun again where it was; where that is too long ago (410 Gone), they are listed anew.
 */
import { z } from 'zod';
import type { ApiEndpoint, KubernetesSettings } from '../../config/discovery-settings.ts';
import { ApiRefusal, type ApiRequest, askApi, followApi, textOfFile } from './api-request.ts';
import { ApiSource, parsedAs } from './api-source.ts';
import { backendsOf, type EndpointSlice, endpointSlice } from './endpoint-slices.ts';
import type { SourceUser } from './source.ts';

/** Where a pod finds who it is (kubernetes.io/docs/tasks/run-application/access-api-from-pod). */
const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** What a pod knows of the cluster that it is in. */
export interface PodSurroundings {
  readonly env: NodeJS.ProcessEnv;
  /** The folder of its account: `token`, `ca.crt`, `namespace`. */
  readonly account: string;
}

const OF_THIS_PROCESS: PodSurroundings = { env: process.env, account: ACCOUNT };
const TIMEOUT_MS = 10_000;
/** The server ends a watch by itself after so long. */
const WATCH_S = 290;
const GONE = 410;
/** Events come one by one, thousands of them where a deployment is replaced, and each would be a whole list. */
const QUIET_MS = 100;

const listed = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  items: z.array(endpointSlice),
});

const event = z.object({ type: z.string(), object: z.unknown() });
const failed = z.object({ code: z.number().nullish(), message: z.string().nullish() });
const versioned = z.object({ metadata: z.object({ resourceVersion: z.string() }) });

/** Its version is too old to go on from. */
class Gone extends Error {}

export function kubernetesSource(
  settings: KubernetesSettings & { readonly basePath: string },
  user: SourceUser,
  pod: PodSurroundings = OF_THIS_PROCESS,
): ApiSource {
  /** By name. */
  const slices = new Map<string, EndpointSlice>();
  /** Of what is in `slices`; empty: nothing is. */
  let version = '';
  const tell = (): Promise<void> => {
    const { found, leftOut } = backendsOf(slices.values(), settings);
    return user.onList(found, leftOut);
  };
  let soon: NodeJS.Timeout | undefined;
  const tellSoon = (signal: AbortSignal): void => {
    soon ??= setTimeout(() => {
      soon = undefined;
      if (!signal.aborted) void tell();
    }, QUIET_MS).unref();
  };

  const list = async (signal: AbortSignal): Promise<void> => {
    const { text } = await askApi(requestOf(settings, '', pod, signal));
    const { metadata, items } = parsedAs(text, listed);
    slices.clear();
    for (const slice of items) slices.set(slice.metadata.name, slice);
    version = metadata.resourceVersion;
    await tell();
  };

  const take = (line: string, signal: AbortSignal): void => {
    const { type, object } = parsedAs(line, event);
    if (type === 'ERROR') {
      const { code, message } = failed.parse(object);
      if (code === GONE) throw new Gone();
      throw new Error(`the watch says: ${message ?? code ?? 'nothing'}`);
    }
    if (type !== 'BOOKMARK') {
      const slice = endpointSlice.parse(object);
      if (type === 'DELETED') slices.delete(slice.metadata.name);
      else slices.set(slice.metadata.name, slice);
      tellSoon(signal);
    }
    version = versioned.parse(object).metadata.resourceVersion;
  };

  return new ApiSource(user, async (signal) => {
    try {
      if (version === '') await list(signal);
      const more = `&watch=1&allowWatchBookmarks=true&timeoutSeconds=${WATCH_S}&resourceVersion=${encodeURIComponent(version)}`;
      await followApi(requestOf(settings, more, pod, signal), {
        longestMs: WATCH_S * 1000 + TIMEOUT_MS,
        onOpen() {
          // That nothing has changed is good news, too.
          void tell();
        },
        onLine: (line) => take(line, signal),
      });
    } catch (error) {
      // What came before it is told before it.
      if (soon !== undefined) {
        clearTimeout(soon);
        soon = undefined;
        await tell();
      }
      // What can't be understood, or was refused, may be another thing from the beginning.
      const isGone =
        error instanceof Gone || (error instanceof ApiRefusal && error.status === GONE);
      if (isGone || !(error instanceof Error && 'code' in error)) version = '';
      if (!isGone) throw error;
    }
  });
}

/** Its files are read each time: a token of a pod is another one every hour. */
function requestOf(
  settings: KubernetesSettings,
  more: string,
  pod: PodSurroundings,
  signal: AbortSignal,
): ApiRequest {
  const { service, tokenFile } = settings;
  const isInside = settings.endpoint === null;
  const endpoint = settings.endpoint ?? ownEndpoint(pod);
  const token = tokenFile === '' && isInside ? `${pod.account}/token` : tokenFile;
  const headers = token === '' ? {} : { Authorization: `Bearer ${textOfFile(token).trim()}` };
  const namespace =
    settings.namespace === '' ? textOfFile(`${pod.account}/namespace`).trim() : settings.namespace;
  const selector = encodeURIComponent(`kubernetes.io/service-name=${service}`);
  const path = `/apis/discovery.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/endpointslices?labelSelector=${selector}${more}`;
  return { endpoint, path, headers, timeoutMs: TIMEOUT_MS, signal };
}

function ownEndpoint({ env, account }: PodSurroundings): ApiEndpoint {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = Number(env['KUBERNETES_SERVICE_PORT'] ?? 443);
  if (host === undefined) {
    throw new Error(
      'this is no pod of Kubernetes (KUBERNETES_SERVICE_HOST is not set): name its server in api_server',
    );
  }
  const caFile = `${account}/ca.crt`;
  return { url: '', tls: true, host, port, socketPath: '', caFile, certFile: '', keyFile: '' };
}
