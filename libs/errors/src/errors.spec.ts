import { describe, expect, it } from '@jest/globals';
import {
  CODE_FACTS,
  GRPC_STATUS,
  HTTP_STATUS,
  MESH_CODES,
  MeshError,
  codeFromGrpcStatus,
} from './index.ts';

describe('mesh codes', () => {
  it('have unique stable numbers', () => {
    const numbers = MESH_CODES.map((code) => CODE_FACTS[code].number);
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  it.each(MESH_CODES)(
    '%s has an answer in gRPC and HTTP that agrees on whose fault it is',
    (code) => {
      expect(GRPC_STATUS[code]).toBeGreaterThan(0);
      expect(HTTP_STATUS[code]).toBeGreaterThanOrEqual(400);
      // PayloadTooLarge shares RESOURCE_EXHAUSTED; its reason detail tells them apart.
      if (code !== 'PayloadTooLarge') expect(codeFromGrpcStatus(GRPC_STATUS[code])).toBe(code);
    },
  );
});

describe('MeshError.from', () => {
  it.each([
    [new MeshError('NotFound', 'x'), 'NotFound'],
    [new DOMException('x', 'AbortError'), 'Cancelled'],
    [new DOMException('x', 'TimeoutError'), 'DeadlineExceeded'],
    [new Error('secret'), 'Internal'],
    ['a string', 'Internal'],
    [undefined, 'Internal'],
  ])('converts %s to %s', (thrown, code) => {
    expect(MeshError.from(thrown).code).toBe(code);
  });

  it('keeps the cause and hides its text', () => {
    const cause = new Error('password=hunter2');
    const error = MeshError.from(cause);
    expect(error.cause).toBe(cause);
    expect(error.message).not.toContain('hunter2');
  });
});
