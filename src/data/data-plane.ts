/** Placeholder of the shape only; being written. */
import type { DataThreadInit, PostToControl, ToDataThread } from '../snapshot/messages.ts';

export interface DataPlane {
  /** Take a message of the control plane. Throws on an unknown kind. */
  receive(message: ToDataThread): void;
}

export function createDataPlane(_init: DataThreadInit, _post: PostToControl): DataPlane {
  throw new Error('being written');
}
