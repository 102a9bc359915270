import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from '@jest/globals';
import { MeshError, invalid, readReason } from '@eventmesh/errors';
import { FailureSchema } from '@eventmesh/proto-gen/event';
import { fromFailure, fromServiceError, toFailure, toStatus } from './status.ts';

describe.each([
  ['the status of a call', (field: string) => fromServiceError(toStatus(invalid(field, 'is bad')))],
  [
    'a part of an answer',
    (field: string) => {
      const { field: name, message } = toFailure(invalid(field, 'is bad'));
      return { details: { field: name }, message };
    },
  ],
])('%s', (_, told) => {
  it.each([
    ['expiresAfterMs', 'expires_after_ms'],
    ['topicFilters[3]', 'topic_filters[3]'],
    ['retry.delayMs', 'retry.delay_ms'],
    ['delivery_class', 'delivery_class'],
    ['ce-id', 'ce-id'],
    ['filters[0].exact.myName', 'filters[0].exact.myName'],
  ])('names %s as the protocol writes it: %s', (field, written) => {
    const { details, message } = told(field);
    expect(details.field).toBe(written);
    expect(message).toBe(`${written}: is bad`);
  });
});

describe.each([
  ['the status of a call', (error: MeshError) => fromServiceError(toStatus(error))],
  [
    'a part of an answer',
    (error: MeshError) => fromFailure(create(FailureSchema, toFailure(error))),
  ],
])('%s', (_, pass) => {
  it.each([
    ['SEEK', 'SEEK'],
    ['OF_A_LATER_VERSION', 'ABORTED'],
  ])('carries the reason %s on as it is', (word, reason) => {
    const passed = pass(pass(new MeshError('Aborted', 'x', readReason(word))));
    expect(passed).toMatchObject({ code: 'Aborted', reason, reasonText: word });
  });
});
