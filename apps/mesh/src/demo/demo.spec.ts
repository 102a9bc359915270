import { describe, expect, it } from '@jest/globals';
import { EventView, encodeEvent, topicMatches } from '@eventmesh/event';
import { compileFilters } from '@eventmesh/filter';
import { wants } from './oracle.ts';
import { loadPayloads } from './payloads.ts';
import { PRODUCERS, share } from './publish.ts';
import { DEMO_SUBSCRIPTIONS } from './subscriptions.ts';

const payloads = loadPayloads();

describe('the payloads of the demo', () => {
  it('are all of the package, each with an id of its own', () => {
    expect(payloads.length).toBeGreaterThan(700);
    expect(new Set(payloads.map(({ id }) => id)).size).toBe(payloads.length);
  });

  it('go to github/{owner}/{repo}/{event} with type and key as documented', () => {
    const opened = payloads.find(({ type }) => type === 'com.github.issues.opened');
    expect(opened).toMatchObject({
      topic: 'github/Codertocat/Hello-World/issues',
      key: 'Codertocat/Hello-World',
    });
  });

  it('are dealt to the producers evenly, a topic and key never to two', () => {
    const shares = share(payloads, Object.keys(PRODUCERS));
    const owners = new Map<string, string>();
    for (const [producer, part] of shares) {
      expect(part.length).toBeGreaterThan(payloads.length / 10);
      for (const { topic, key } of part) {
        const lane = JSON.stringify([topic, key]);
        expect(owners.get(lane) ?? producer).toBe(producer);
        owners.set(lane, producer);
      }
    }
    expect([...shares.values()].flat()).toHaveLength(payloads.length);
  });
});

describe('the oracle of the demo', () => {
  it.each(DEMO_SUBSCRIPTIONS.map((one) => [one.name, one] as const))(
    'agrees with the mesh about %s, which wants some and, but for all of github/#, not all',
    (_name, subscription) => {
      const filter = compileFilters(subscription.filters);
      const wanted = payloads.filter((payload) => wants(subscription, payload));
      const mesh = payloads.filter(({ id, source, type, key, topic }) => {
        const partitionkey = ['partitionkey', { kind: 'string', value: key }] as const;
        const event = encodeEvent({ id, source, type, attributes: [partitionkey] });
        return (
          subscription.topicFilters.some((each) => topicMatches(each, topic)) &&
          filter(new EventView(event))
        );
      });
      expect(wanted).toEqual(mesh);
      expect(wanted.length).toBeGreaterThan(0);
      if (subscription.filters.length > 0) expect(wanted.length).toBeLessThan(payloads.length);
    },
  );
});
