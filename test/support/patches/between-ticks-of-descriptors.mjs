/** Preloaded into Fairlead and its threads: the time between two ticks of descriptors does not end. */
import { isMainThread } from 'node:worker_threads';
import { moduleOf } from './module-of.mjs';

async function arm() {
  const { Descriptors } = await moduleOf('data/descriptors');
  if (typeof Descriptors.prototype.tick !== 'function')
    throw new Error('there is no tick any more');
  Descriptors.prototype.tick = () => {};
}

if (!isMainThread) await arm();
