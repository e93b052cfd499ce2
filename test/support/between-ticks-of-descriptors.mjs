/** Preloaded into Fairlead and its threads: the time between two ticks of descriptors does not end. */
import { isMainThread } from 'node:worker_threads';

async function arm() {
  const url = new URL('../../dist/data/descriptors.js', import.meta.url).href;
  const { Descriptors } = await import(url);
  if (typeof Descriptors.prototype.tick !== 'function')
    throw new Error('there is no tick any more');
  Descriptors.prototype.tick = () => {};
}

if (!isMainThread) await arm();
