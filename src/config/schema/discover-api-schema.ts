/** The sources of `discover` that are asked by an API. What is found is an address: its scheme and path are said here. */
import { z } from 'zod';
import { parseBackendUrl, shownUrl } from '../values/backend-url.ts';
import { fail, nonEmptyText, oneOf, secret, wholeNumber } from './schema-types.ts';

const NOTHING_BELOW = 'must be where the server is, and nothing below that';

function endpoint() {
  const what = 'must be a URL, such as http://127.0.0.1:8500 or unix:/run/api.sock';
  return z.string({ error: what }).transform((value, context) => {
    const result = parseBackendUrl(value);
    if (!result.ok) return fail(context, `${shownUrl(value)} ${result.reason}`);
    if (result.address.basePath !== '') return fail(context, NOTHING_BELOW);
    return result.address;
  });
}

const files = {
  ca_file: nonEmptyText('the path of a PEM file')
    .describe(
      'The authorities that the certificate of the API may be from, in place of those that this machine trusts.',
    )
    .optional(),
  cert_file: nonEmptyText('the path of a PEM file')
    .describe('A certificate that the API is shown, and its chain.')
    .optional(),
  key_file: nonEmptyText('the path of a PEM file').describe('Its private key.').optional(),
};

const ofEach = {
  scheme: oneOf(['http', 'https']).describe('How backends are spoken to.').default('http'),
  path: z
    .string({ error: 'must be a path, such as /base' })
    .transform((path, context) => {
      const result = parseBackendUrl(`http://a${path}`);
      const isPath = path === '' || path.startsWith('/');
      if (result.ok && isPath) return result.address.basePath;
      return fail(context, 'must be a path, such as /base, without empty and dot segments');
    })
    .describe('What stands before the paths of requests.')
    .default(''),
};

export const docker = z
  .strictObject(
    {
      endpoint: endpoint()
        .describe('Where Docker listens: `unix:` and a path, `http://` or `https://`.')
        .prefault('unix:/var/run/docker.sock'),
      labels: z
        .record(z.string().min(1), z.string({ error: 'must be a text' }), {
          error:
            'must be a mapping of labels to texts, such as { com.docker.compose.service: web }',
        })
        .describe(
          'The labels that a container has to have; an empty text stands for any value. Default: `fairlead.pool`, with the name of the pool.',
        )
        .optional(),
      network: nonEmptyText('the name of a network')
        .describe(
          'In which network containers are reached. The label `fairlead.network` of a container wins. Default: the only one that it is in.',
        )
        .optional(),
      port: wholeNumber(1, 65_535)
        .describe(
          'The port of each. The label `fairlead.port` wins. Default: the only one that it exposes.',
        )
        .optional(),
      ...files,
      ...ofEach,
    },
    { error: 'must be a mapping, such as { labels: { com.docker.compose.service: web } }' },
  )
  .describe(
    'Containers that run in Docker, by their labels, as its events tell. Those that say that they are unhealthy are none. The label `fairlead.weight` is their weight.',
  )
  .optional();

export const consul = z
  .strictObject(
    {
      service: nonEmptyText('the name of a service').describe('The service.'),
      endpoint: endpoint()
        .describe('An agent or a server of Consul.')
        .prefault('http://127.0.0.1:8500'),
      datacenter: nonEmptyText('the name of a datacenter')
        .describe('Default: that of the agent.')
        .optional(),
      tags: z
        .array(nonEmptyText('a tag'), { error: 'must be a list of tags' })
        .describe('Tags, all of which an instance has to have.')
        .default([]),
      token: secret().describe('The token of its ACLs. A secret: never shown.').optional(),
      ...files,
      ...ofEach,
    },
    { error: 'must be a mapping, such as { service: web }' },
  )
  .describe(
    'The instances of a service in Consul that pass its checks, with their weights, as it tells of changes.',
  )
  .optional();

export const kubernetes = z
  .strictObject(
    {
      service: nonEmptyText('the name of a service').describe('The service.'),
      namespace: nonEmptyText('the name of a namespace')
        .describe('Its namespace. Default: that of this pod; with `api_server` it has to be given.')
        .optional(),
      port: z
        .union([wholeNumber(1, 65_535), nonEmptyText('the name of a port, or its number')], {
          error: 'must be the name of a port, or its number',
        })
        .describe('The port of its pods, by name or number. Default: the only one.')
        .optional(),
      api_server: endpoint()
        .describe('Default: that of the cluster that this process is a pod of.')
        .optional(),
      token_file: nonEmptyText('the path of a file')
        .describe('A file with a token for it. Default: that of this pod; with `api_server`, none.')
        .optional(),
      ...files,
      ...ofEach,
    },
    { error: 'must be a mapping, such as { service: web }' },
  )
  .describe(
    'The pods behind a service of Kubernetes that are ready, by its EndpointSlices, which are watched.',
  )
  .optional();
