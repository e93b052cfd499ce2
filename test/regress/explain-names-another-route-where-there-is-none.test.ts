import { expect, test } from 'vitest';
import { runFairlead, startFairlead } from '../support/fairlead.ts';

/** Of a config without routes, `fairlead explain` said of the only pool that all goes to: "another comes before it". */
test('without routes, the pool that all goes to is shown as the one that gets the request', async () => {
  const { adminUrl } = await startFairlead();
  const { stdout } = await runFairlead(['explain', 'http://shop.test/', '--admin', adminUrl]);
  expect(stdout).toMatch(/^→ {2}default {2}yes {6}it gets the request$/m);
});
