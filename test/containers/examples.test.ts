/** What examples/containers and examples/kubernetes say is said of this Fairlead, and fits together. */
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { loadSettings, validateConfigText } from '../../src/config/load.ts';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { waitFor } from '../support/wait-for.ts';
import { linesOf, stagesOf } from './recipe.ts';

function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

interface Service {
  readonly image: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly ports?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly stop_grace_period?: string;
  readonly volumes?: readonly string[];
  readonly healthcheck?: object;
}

const compose = parse(read('examples/containers/compose.yaml')) as {
  services: Record<string, Service>;
  volumes: Record<string, null>;
};
const stage = stagesOf(read('Dockerfile')).at(-1);
if (stage === undefined) throw new Error('The Dockerfile has no stage.');
const [exposed] = linesOf(stage, 'EXPOSE');
const stateFolder = /FAIRLEAD_STATE_FILE=(\S+)\/[^/\s]+$/.exec(linesOf(stage, 'ENV')[0] ?? '')?.[1];

test('compose.yaml: what the proxy is told is a config, and its backends are there', () => {
  const { fairlead, ...others } = compose.services;
  const env = { ...fairlead?.environment };
  const result = loadSettings({ flags: { values: [] }, env, cwd: '/' });
  const urls = Object.entries(others).map(([name, { command = [] }]) => {
    return { url: `http://${name}:${command[command.indexOf('--port') + 1]}` };
  });
  expect(urls).toHaveLength(2);
  expect(result).toMatchObject({ ok: true, notes: [], settings: { pools: [{ backends: urls }] } });
  const drainMs = result.ok ? result.settings.drainMs : Number.NaN;
  expect(Number.parseInt(fairlead?.stop_grace_period ?? '', 10) * 1000).toBeGreaterThan(drainMs);
  expect(fairlead?.ports).toEqual([`8080:${exposed}`]);
  expect(fairlead?.volumes).toEqual([`state:${stateFolder}`]);
  expect(Object.keys(compose.volumes)).toEqual(['state']);
});

test('compose.yaml: its backends are started as it says, and do not say that they are ill', async () => {
  for (const [name, { command = [], healthcheck }] of Object.entries(compose.services)) {
    if (name === 'fairlead') continue;
    expect(healthcheck).toEqual({ disable: true });
    // All that the flags may be wrong about is told before the address is.
    const busy = await httpBackend();
    const args = command.map((word) => (word === '3001' ? String(busy.port) : word));
    const { code, stderr } = await runFairlead([...args, '--host', '127.0.0.1']);
    expect([code, stderr]).toEqual([3, expect.stringContaining('in use')]);
  }
});

interface Labelled {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: Record<string, unknown>;
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface PodSpec {
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext: object;
  readonly volumes: readonly { readonly name: string; readonly configMap?: { name: string } }[];
  readonly containers: readonly [
    {
      readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
      readonly env: readonly { readonly name: string }[];
      readonly readinessProbe: Probe;
      readonly livenessProbe: Probe;
      readonly lifecycle: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
      readonly securityContext: object;
      readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
    },
  ];
}

const documents = parseAllDocuments(read('examples/kubernetes/fairlead.yaml'));
const objects = documents.map((document) => document.toJS() as Labelled);

function objectOf(kind: string): Labelled {
  const [found, ...others] = objects.filter((object) => object.kind === kind);
  if (found === undefined || others.length > 0) throw new Error(`not one ${kind}`);
  return found;
}

const deployment = objectOf('Deployment').spec as {
  selector: { matchLabels: object };
  template: { metadata: { labels: object }; spec: PodSpec };
};
const pod = deployment.template.spec;
const [container] = pod.containers;
const config = objectOf('ConfigMap').data?.['fairlead.config.yaml'] ?? '';
const TOKEN = 'a-token-of-this-test-0123456789abcdef';

test('kubernetes: the config is valid, and ports, probes, volumes and times go with it', () => {
  expect(documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual([]);
  const env = Object.fromEntries(container.env.map(({ name }) => [name, TOKEN]));
  const context = { flags: { values: [] }, env, cwd: '/etc/fairlead' };
  const result = validateConfigText(config, 'fairlead.config.yaml', context);
  expect(result).toMatchObject({ ok: true, notes: [] });
  const settings = result.ok ? result.settings : undefined;
  const ports = Object.fromEntries(
    container.ports.map(({ name, containerPort }) => [name, containerPort]),
  );
  expect(settings?.listeners).toMatchObject([{ address: { port: ports['http'] } }]);
  expect(settings?.admin).toMatchObject({ port: ports['admin'] });
  expect(container.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'admin' });
  expect(container.livenessProbe.httpGet).toEqual({ path: '/livez', port: 'admin' });
  const seconds = pod.terminationGracePeriodSeconds - container.lifecycle.preStop.sleep.seconds;
  expect(seconds * 1000).toBeGreaterThan(settings?.drainMs ?? Number.NaN);

  const mounts = container.volumeMounts.map(({ name }) => name);
  expect(mounts.toSorted()).toEqual(pod.volumes.map(({ name }) => name).toSorted());
  const [configFolder] = linesOf(stage as NonNullable<typeof stage>, 'WORKDIR').slice(-1);
  const paths = container.volumeMounts.map(({ mountPath }) => mountPath);
  expect(paths).toEqual([configFolder, stateFolder]);
  const maps = pod.volumes.flatMap(({ configMap }) => configMap ?? []);
  expect(maps).toEqual([{ name: objectOf('ConfigMap').metadata.name }]);
});

test('kubernetes: whoever selects pods selects these, which are restricted', () => {
  const { labels } = deployment.template.metadata;
  expect(deployment.selector.matchLabels).toEqual(labels);
  expect(objectOf('Service').spec).toMatchObject({
    selector: labels,
    ports: [{ targetPort: container.ports[0]?.name }],
  });
  expect(objectOf('PodDisruptionBudget').spec).toMatchObject({ selector: { matchLabels: labels } });
  // https://kubernetes.io/docs/concepts/security/pod-security-standards: "restricted"
  const [user] = linesOf(stage as NonNullable<typeof stage>, 'USER');
  expect(pod.securityContext).toMatchObject({
    runAsNonRoot: true,
    runAsUser: Number.parseInt(user ?? '', 10),
    seccompProfile: { type: 'RuntimeDefault' },
  });
  expect(container.securityContext).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
});

/** As the kubelet asks: at the address of the pod. @returns the status */
function ask(port: number, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { host: `10.42.0.7:${port}`, 'user-agent': 'kube-probe/1.34' };
    const asked = request({ host: '127.0.0.1', port, path, headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asked.on('error', reject).end();
  });
}

test('kubernetes: probes are answered at the address of the pod, and nobody else without the token', async () => {
  const backend = await httpBackend();
  const [port, adminPort] = [await freePort(), await freePort()];
  const own = parse(config) as Record<string, unknown>;
  const discover = { dns: `http://localhost:${backend.port}`, every: '5s' };
  const fairlead = await startFairlead({
    config: { ...own, port, admin_port: adminPort, discover, state_file: false },
    ports: { port, adminPort },
    env: Object.fromEntries(container.env.map(({ name }) => [name, TOKEN])),
  });
  for (const { httpGet } of [container.readinessProbe, container.livenessProbe]) {
    expect(await ask(adminPort, httpGet.path)).toBe(200);
  }
  expect(await ask(adminPort, '/status')).toBe(401);
  await waitFor(async () => (await fetch(fairlead.url)).status === 200);
});
