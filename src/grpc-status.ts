/** The statuses of gRPC, and which of them an answer of HTTP is. */

/** By number: https://grpc.io/docs/guides/status-codes/. */
export const GRPC_STATUSES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

export type GrpcStatusName = (typeof GRPC_STATUSES)[number];

/** Where nothing else is known to be better: who may come again with success is told UNAVAILABLE, and nobody else. */
const GRPC_BY_STATUS: Readonly<Record<number, GrpcStatusName>> = {
  400: 'INTERNAL',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'UNIMPLEMENTED',
  405: 'UNIMPLEMENTED',
  408: 'DEADLINE_EXCEEDED',
  413: 'RESOURCE_EXHAUSTED',
  414: 'RESOURCE_EXHAUSTED',
  421: 'UNAVAILABLE',
  429: 'RESOURCE_EXHAUSTED',
  431: 'RESOURCE_EXHAUSTED',
  499: 'CANCELLED',
  501: 'UNIMPLEMENTED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

/** Of an answer that is none of gRPC. */
export function grpcOf(status: number): GrpcStatusName {
  return GRPC_BY_STATUS[status] ?? 'UNKNOWN';
}

export function grpcNumber(name: GrpcStatusName): number {
  return GRPC_STATUSES.indexOf(name);
}
