/** Calls of gRPC by their status: a cell for each, since there are few. */
import { GRPC_STATUSES } from '../grpc-status.ts';

export const GRPC_CELLS = GRPC_STATUSES.length;

/** Adds what one thread has counted from `offset` on. @param calls one for each status */
export function addCalls(calls: number[], cells: Float64Array, offset: number): void {
  for (let status = 0; status < GRPC_CELLS; status++) {
    calls[status] = (calls[status] ?? 0) + (cells[offset + status] as number);
  }
}
