import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { WhyReport } from '@eventmesh/adapter-api';
import { encodeEvent, type AttributeValue } from '@eventmesh/event';
import { PublisherService } from '@eventmesh/proto-gen/publisher';
import { PublisherService as WirePublisherService } from '@eventmesh/proto-gen/wire';
import { createClient, grpcTransport } from '@eventmesh/rpc';
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

describe('an event for a site that is away', () => {
  const why = async (): Promise<WhyReport> => {
    const response = await sites.http('west', 'admin', '/v1/why/away-1');
    return (await response.json()) as WhyReport;
  };

  it(
    'waits on its link, which is told of it, and that the site cannot be asked',
    async () => {
      await sites.client('east', 'subscriber').subscriptions.createSubscription({
        subscription: { name: 'away', topicFilters: ['away/#'] },
        convergeMs: 10_000n,
      });
      await sites.crash('east', async () => {
        const event = { id: 'away-1', source: '/shop', type: 'order' };
        await sites.client('west', 'publisher').publish('away/x', event);
        const { answers, unreachableSites } = await why();
        expect(answers).toMatchObject([
          { subject: 'link to east', state: 'on-link', site: 'west' },
        ]);
        expect(answers[0]?.reason).toMatch(/for east; the link is|no route to east now/);
        expect(unreachableSites).toEqual(['east']);
      });
      await eventually(async () => {
        const { answers, unreachableSites } = await why();
        expect(unreachableSites).toEqual([]);
        const states = answers.map(({ subject, state }) => `${subject}: ${state}`);
        expect(states).toEqual(
          expect.arrayContaining(['link to east: link-accepted', 'away: not-read']),
        );
      });
    },
    TEST_MS,
  );
});

describe('a publish stream whose caller is in a trace', () => {
  it(
    'puts the events that carry no trace context below it, and leaves the others where they are',
    async () => {
      const subscriber = sites.client('west', 'subscriber').subscribe({
        subscription: { name: 'called', topicFilters: ['calls/#'] },
      });
      const found = new Map<string, string>();
      const arrived = (async () => {
        for await (const { event, accept } of subscriber) {
          accept();
          found.set(event.id, event.text('traceparent') ?? '');
          if (found.size === 2) return;
        }
      })();
      await subscriber.opened;
      const caller = { trace: 'a'.repeat(32), span: 'b'.repeat(16) };
      const own = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`;
      const [, address = '', , user = ''] = sites.flags('west', 'publisher');
      const transport = grpcTransport({
        address,
        metadata: () => ({
          authorization: `Basic ${Buffer.from(user).toString('base64')}`,
          traceparent: `00-${caller.trace}-${caller.span}-01`,
        }),
      });
      try {
        const client = createClient(WirePublisherService, transport, PublisherService);
        const events = [
          eventOf('bare'),
          eventOf('traced', [['traceparent', { kind: 'string', value: own }]]),
        ];
        const requests = [{ events: events.map((event) => ({ topic: 'calls/x', event })) }];
        const answers = [];
        for await (const answer of client.publishStream(Readable.from(requests))) {
          answers.push(...answer.outcomes);
        }
        expect(answers.map(({ outcome }) => outcome.case)).toEqual(['receipt', 'receipt']);
      } finally {
        transport.close();
      }
      await arrived;
      expect(found.get('traced')).toBe(own);
      const [, traceId, spanId] = (found.get('bare') ?? '').split('-');
      expect(traceId).toBe(caller.trace);
      expect(spanId).not.toBe(caller.span);
      await eventually(
        () => {
          const publish = spans.find((span) => span.spanId === spanId);
          expect(publish).toMatchObject({
            name: 'eventmesh publish',
            parentSpanId: caller.span,
          });
        },
        { timeoutMs: EXPORT_MS },
      );
    },
    TEST_MS,
  );
});

const eventOf = (id: string, attributes: [string, AttributeValue][] = []) =>
  encodeEvent({ id, source: '/calls', type: 'call', attributes });
