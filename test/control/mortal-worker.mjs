/** The real data thread, which ends when it is told so on the channel `fairlead-test`. */
import { BroadcastChannel } from 'node:worker_threads';

await import('../../dist/data/worker.js');

const channel = new BroadcastChannel('fairlead-test');
channel.addEventListener('message', () => process.exit(3));
// It must not keep a thread alive that was asked to stop.
channel.unref();
