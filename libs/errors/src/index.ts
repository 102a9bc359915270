export { CODE_FACTS, MESH_CODES, type MeshCode, type Retry } from './codes.ts';
export { MeshError, invalid, tooLarge, unavailable, type ErrorDetails } from './mesh-error.ts';
export { GRPC_STATUS, HTTP_STATUS, codeFromGrpcStatus } from './wire.ts';
