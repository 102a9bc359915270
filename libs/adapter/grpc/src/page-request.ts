import { MeshError } from '@eventmesh/errors';
import { pageSizeOf, type PageRequest } from '@eventmesh/rpc';

/** The page that a caller asks a port for. */
export const pageRequest = ({ pageSize, pageToken }: PageRequest) => ({
  size: pageSizeOf(pageSize),
  token: pageToken,
});

/** A port knows tokens as `token`; what refuses one names it as callers of gRPC spell it. */
export async function paged<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (thrown) {
    const error = MeshError.from(thrown);
    if (error.details.field !== 'token') throw error;
    const field = 'page_token';
    const message = error.message.replace(/^token:/, `${field}:`);
    throw new MeshError(error.code, message, { ...error.details, field }, error.cause);
  }
}
