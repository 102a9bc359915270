export { CODE_FACTS, MESH_CODES, type MeshCode, type Retry } from './codes.ts';
export {
  MeshError,
  invalid,
  readReason,
  tooLarge,
  unavailable,
  type ErrorDetails,
} from './mesh-error.ts';
export { REASONS, type Reason } from './reasons.ts';
export { GRPC_STATUS, HTTP_STATUS, codeFromGrpcStatus } from './wire.ts';
