import { describe, expect, it } from '@jest/globals';
import {
  CODE_FACTS,
  GRPC_STATUS,
  HTTP_STATUS,
  MESH_CODES,
  MeshError,
  codeFromGrpcStatus,
  readReason,
  type ErrorDetails,
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

describe('the reason of an error', () => {
  it.each([
    ['a word of the table', 'EXCLUSIVE', 'EXCLUSIVE', 'EXCLUSIVE'],
    ['a word of a later version', 'NEWER', 'FAILED_PRECONDITION', 'NEWER'],
    ['the name of a member of all objects', 'toString', 'FAILED_PRECONDITION', 'toString'],
    ['none', '', 'FAILED_PRECONDITION', 'FAILED_PRECONDITION'],
  ])('over the wire may be %s', (_, word, reason, reasonText) => {
    const error = new MeshError('FailedPrecondition', 'x', readReason(word));
    expect(error).toMatchObject({ reason, reasonText });
  });

  it('is no mere string to the compiler, so that a word that is none is found', () => {
    const closed: string extends MeshError['reason'] ? false : true = true;
    const given: string extends ErrorDetails['reason'] ? false : true = true;
    expect([closed, given]).toEqual([true, true]);
  });
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
