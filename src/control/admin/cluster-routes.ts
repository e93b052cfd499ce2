/** `/cluster`: who runs on the same configuration, and how far each is. */
import type { ClusterPort } from '../cluster-port.ts';
import { clip } from './body.ts';
import { cluster as clusterForm, clusterHealth, clusterWrite } from './cluster-answers.ts';
import { plainAnswer } from './form.ts';
import { ProblemError } from './problem.ts';
import { RestedLook } from './rested-look.ts';
import type { Route } from './router.ts';

/** What viewers are shown of the cluster: peers and etcd may be long in answering, which is when somebody looks. */
const MOST_OLD_MS = 5_000;

export function clusterRoutes(cluster: ClusterPort | undefined): Route[] {
  /** @throws ProblemError 404 */
  function expected(): ClusterPort {
    if (cluster !== undefined) return cluster;
    throw new ProblemError(404, 'ERR_NO_CLUSTER', 'This instance is in no cluster.');
  }

  /** It asks the store and all peers: what comes of one call of a viewer is not to be a flood of others. */
  const forViewers = new RestedLook((port: ClusterPort) => port.describe(), {
    mostMs: MOST_OLD_MS,
  });

  return [
    {
      path: '/cluster',
      summary: 'the instances of the cluster, and what each runs on',
      methods: {
        GET: {
          says: 'the instances, their revisions, and where they disagree about the health of backends',
          answers: { 200: plainAnswer('As this instance sees it.', clusterForm) },
          problems: [404],
          handle: async ({ role }) => {
            const port = expected();
            const body = role === 'viewer' ? forViewers.take(port) : port.describe();
            return { status: 200, body: await body };
          },
        },
      },
    },
    {
      path: '/cluster/health',
      summary: 'what this instance alone thinks of the backends',
      // Who has the key of the cluster needs no token for this.
      isOpenTo: ({ authorization }) => cluster?.isPeer(authorization) === true,
      methods: {
        GET: {
          says: 'what this instance alone thinks of the backends of all pools: its peers ask for it',
          answers: { 200: plainAnswer('All backends.', clusterHealth) },
          problems: [404],
          handle: () => ({ status: 200, body: expected().ownHealth() }),
        },
      },
    },
    {
      path: '/cluster/writes/{id}',
      summary: 'whether a change of unknown outcome was made',
      params: {
        id: {
          says: 'The `write` of the problem that the change was answered with.',
          schema: { type: 'string' },
        },
      },
      methods: {
        GET: {
          says: 'whether a change was made that was answered with 504',
          answers: { 200: plainAnswer('It was.', clusterWrite) },
          problems: [404],
          handle: ({ params }) => {
            const id = params['id'] ?? '';
            const found = expected().findWrite(id);
            if (found !== undefined) return { status: 200, body: { write: id, ...found } };
            throw new ProblemError(
              404,
              'ERR_UNKNOWN_WRITE',
              `Nothing that is stored was written by ${JSON.stringify(clip(id))}: it was not made, or another change has replaced it.`,
            );
          },
        },
      },
    },
  ];
}
