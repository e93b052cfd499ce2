/** The real data thread, which ends when it is told so on the channel `fairlead-test`: `throw` or `exit`. */
import { BroadcastChannel } from 'node:worker_threads';

await import('../../dist/data/worker.js');

const channel = new BroadcastChannel('fairlead-test');
channel.addEventListener('message', ({ data }) => {
  if (data === 'exit') process.exit(3);
  throw new Error('the test told this thread to throw');
});
// It must not keep a thread alive that was asked to stop.
channel.unref();
