/** The entry of a data thread: ties a data plane to the thread's message port. */
import { parentPort, workerData } from 'node:worker_threads';
import type { DataThreadInit, ToDataThread } from '../snapshot/messages.ts';
import { createDataPlane } from './data-plane.ts';

if (parentPort === null) throw new Error('this module runs in a worker thread only');
const port = parentPort;
const plane = createDataPlane(workerData as DataThreadInit, (message) => port.postMessage(message));

port.on('message', (message: ToDataThread) => {
  plane.receive(message);
  // Once everything is closed and the port too, nothing keeps the thread alive.
  if (message.kind === 'stop') port.close();
});
