import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { eventually, tempDir } from '@eventmesh/testing';
import { TwoSites } from './two-sites.ts';

const TEST_MS = 60_000;
/** The exporter sends what has gathered every five seconds. */
const EXPORT_MS = 20_000;
const dir = tempDir('tracing');

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly attributes: readonly {
    readonly key: string;
    readonly value: { readonly stringValue?: string };
  }[];
}

interface Export {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly { readonly spans: readonly Span[] }[];
  }[];
}

const spans: Span[] = [];
const siteOf = ({ attributes }: Span) =>
  attributes.find(({ key }) => key === 'eventmesh.site')?.value.stringValue;

/** Takes spans by OTLP over HTTP, as JSON. */
const collector: Server = createServer((request, response) => {
  void text(request).then((body) => {
    const { resourceSpans } = JSON.parse(body) as Export;
    for (const { scopeSpans } of resourceSpans) {
      spans.push(...scopeSpans.flatMap((scope) => scope.spans));
    }
    response.setHeader('content-type', 'application/json').end('{}');
  });
});

let sites: TwoSites;

beforeAll(async () => {
  collector.listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const { port } = collector.address() as AddressInfo;
  const otlpUrl = `http://127.0.0.1:${port}/v1/traces`;
  sites = await TwoSites.start(dir.path, { tracing: { otlpUrl } });
}, TEST_MS);

afterAll(async () => {
  await sites.stop();
  collector.close();
  dir.remove();
});

describe('an event that crosses two sites', () => {
  it(
    'carries a trace context to its consumer, and its spans from publish to settle hang together',
    async () => {
      const subscriber = sites.client('east', 'subscriber').subscribe({
        subscription: { name: 'traced', topicFilters: ['orders/#'] },
        convergeMs: 10_000,
      });
      const arrived = (async () => {
        for await (const delivery of subscriber) {
          delivery.accept();
          return delivery.event.text('traceparent');
        }
        return undefined;
      })();
      await subscriber.opened;
      const event = { id: 'traced-1', source: '/shop', type: 'order', data: 'x' };
      await sites.client('west', 'publisher').publish('orders/new', event);
      const traceparent = (await arrived) ?? '';
      expect(traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
      const [, traceId, publishId] = traceparent.split('-');
      await eventually(
        () => {
          const mine = spans.filter((span) => span.traceId === traceId);
          expect(mine.map((span) => `${siteOf(span)}: ${span.name}`).sort()).toEqual([
            'east: eventmesh deliver',
            'east: eventmesh hop',
            'west: eventmesh publish',
          ]);
          const [publish] = mine.filter(({ spanId }) => spanId === publishId);
          expect(publish?.name).toBe('eventmesh publish');
          for (const span of mine.filter((each) => each !== publish)) {
            expect(span.parentSpanId).toBe(publishId);
          }
        },
        { timeoutMs: EXPORT_MS },
      );
    },
    TEST_MS,
  );
});
