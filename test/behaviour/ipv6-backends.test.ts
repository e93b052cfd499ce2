/** A backend at an IPv6 address: its brackets in the URL and in Host, not where it is connected to. */
import { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { waitFor } from '../support/wait-for.ts';

const hasIPv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
);

test.runIf(hasIPv6)('it is checked, serves, and is named in one spelling', async () => {
  const hosts: (string | undefined)[] = [];
  const { port } = await httpBackend(
    (request, response) => {
      hosts.push(request.headers.host);
      response.end('ok');
    },
    { host: '::1' },
  );
  const fairlead = await startFairlead({
    config: { backends: [`http://[0:0::1]:${port}`], host_header: 'backend' },
  });
  await waitFor(async () => (await fetch(fairlead.url)).status === 200);
  expect(new Set(hosts)).toEqual(new Set([`[::1]:${port}`]));
  const [view] = (await (await fetch(`${fairlead.adminUrl}/backends`)).json()) as { url: string }[];
  expect(view?.url).toBe(`http://[::1]:${port}`);
});
