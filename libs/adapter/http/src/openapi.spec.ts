import { describe, expect, it } from '@jest/globals';
import { SUBSCRIPTION_DEFAULTS, checkSubscription } from '@eventmesh/delivery';
import { manageSchemas } from './openapi.ts';
import { readSubscription } from './subscription-json.ts';

interface Property {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
}

const { properties } = manageSchemas.create.body as {
  readonly properties: Readonly<Record<string, Property>>;
};

const taken = (field: string, value: unknown) =>
  checkSubscription(readSubscription({ name: 'a', topicFilters: ['a'], [field]: value }));

describe('a subscription in the OpenAPI document', () => {
  it('has every field that the mesh knows, and no other', () => {
    const known = ['name', 'topicFilters', ...Object.keys(SUBSCRIPTION_DEFAULTS)];
    expect(Object.keys(properties).sort()).toEqual(known.sort());
  });

  const choices = Object.entries(properties).flatMap(([field, { enum: values = [] }]) =>
    values.map((value): [string, string] => [field, value]),
  );

  it.each(choices)('offers %s %s, which the mesh takes', (field, value) => {
    expect(taken(field, value)).toMatchObject({ [field]: value });
  });

  const bounds = Object.entries(properties).flatMap(
    ([field, { minimum, maximum }]): [string, number, number][] =>
      minimum === undefined || maximum === undefined ? [] : [[field, minimum, maximum]],
  );

  it.each(bounds)('bounds %s by %d and %d, as the mesh does', (field, minimum, maximum) => {
    for (const value of [minimum, maximum]) expect(taken(field, value)[field as never]).toBe(value);
    for (const value of [minimum - 1, maximum + 1]) {
      expect(() => taken(field, value)).toThrow(
        expect.objectContaining({ details: expect.objectContaining({ field }) }),
      );
    }
  });

  it('names the parts of a retry policy and of a start', () => {
    const text = JSON.stringify(properties);
    for (const part of Object.keys(SUBSCRIPTION_DEFAULTS.retry)) expect(text).toContain(part);
    for (const kind of ['none', 'linear', 'exponential', 'list']) expect(text).toContain(kind);
    for (const kind of ['latest', 'earliest', 'time', 'position', 'after']) {
      expect(text).toContain(kind);
    }
  });
});
