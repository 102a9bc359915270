import { describe, expect, it } from '@jest/globals';
import type { DescField, DescMessage } from '@bufbuild/protobuf';
import {
  file_eventmesh_publisher_v1_publisher as publisher,
  file_eventmesh_subscriber_v1_subscriber as subscriber,
  file_eventmesh_wire_v1_wire as wire,
} from './index.ts';

const originals = new Map(
  [...publisher.messages, ...subscriber.messages].map((message) => [message.name, message]),
);

const shape = (field: DescField) => ({
  number: field.number,
  kind: field.fieldKind,
  oneof: field.oneof?.name,
});

describe('wire twins', () => {
  it.each(wire.messages.map((message): [string, DescMessage] => [message.name, message]))(
    '%s has the fields of its original, with the event as bytes',
    (name, twin) => {
      const original = originals.get(name);
      expect(original).toBeDefined();
      expect(twin.fields.map((field) => field.name)).toEqual(
        original?.fields.map((field) => field.name),
      );
      for (const field of twin.fields) {
        const other = original?.fields.find((each) => each.name === field.name);
        const isEvent = other?.message?.typeName === 'io.cloudevents.v1.CloudEvent';
        if (isEvent) expect([field.number, field.scalar]).toEqual([other?.number, 12]);
        else expect(shape(field)).toEqual(other && shape(other));
      }
    },
  );

  it.each(wire.services.map((service) => [service.name, service] as const))(
    '%s has methods of its original with the same kinds',
    (name, twin) => {
      const original = [...publisher.services, ...subscriber.services].find(
        (service) => service.name === name,
      );
      for (const method of twin.methods) {
        const other = original?.methods.find((each) => each.name === method.name);
        expect(method.methodKind).toBe(other?.methodKind);
        expect(method.input.name).toBe(other?.input.name);
        expect(method.output.name).toBe(other?.output.name);
      }
    },
  );
});
