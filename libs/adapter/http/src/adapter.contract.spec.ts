import { MESH_CODES, CODE_FACTS, type MeshCode } from '@eventmesh/errors';
import {
  WireRefusal,
  describeAdapterContract,
  type WireClient,
  type WireDelivery,
  type WireStream,
} from '@eventmesh/testing';
import type { Problem } from './index.ts';
import { SseClient, call, makeAdapter, type Answer } from './testing/http-client.ts';

interface Envelope {
  readonly id: number;
  readonly attempt: number;
  readonly topic: string;
  readonly event: { readonly id: string; readonly data: string };
}

function refusalOf(answer: Answer): WireRefusal {
  const problem = JSON.parse(answer.text) as Problem;
  const code = MESH_CODES.find((one: MeshCode) => CODE_FACTS[one].number === problem.code);
  if (code === undefined) throw new Error(`no mesh code in ${answer.text}`);
  return new WireRefusal(code, problem.detail, problem.reason);
}

function streamOf(
  sse: SseClient,
  settlePath: string,
  post: (path: string, body: string) => Promise<Answer>,
): WireStream {
  const envelopes: Envelope[] = [];
  const deliveries: WireDelivery[] = [];
  sse.onMessage = ({ data }) => {
    const envelope = JSON.parse(data) as Envelope;
    envelopes.push(envelope);
    const { topic, attempt, event } = envelope;
    deliveries.push({ topic, attempt, id: event.id, data: event.data });
  };
  return {
    deliveries,
    ended: sse.ended,
    async settle(delivery: WireDelivery, outcome) {
      const found = envelopes[deliveries.indexOf(delivery)];
      const reason = outcome === 'reject' ? { reason: 'the contract wants it' } : {};
      const answer = await post(
        settlePath,
        JSON.stringify({ ids: [found?.id], outcome, ...reason }),
      );
      if (answer.status !== 200) throw refusalOf(answer);
    },
    pause: () => void sse.response.pause(),
    resume: () => void sse.response.resume(),
    close: () => sse.close(),
  };
}

describeAdapterContract('http', {
  makeAdapter: (port) => makeAdapter(port),
  connect: async (addresses, authorization): Promise<WireClient> => {
    const address = addresses['http'] ?? '';
    const streams: SseClient[] = [];
    return {
      async publish({ topic, id, source, type, data }) {
        const path = `/v1/topics/${topic.split('/').map(encodeURIComponent).join('/')}`;
        const headers = {
          'ce-specversion': '1.0',
          'ce-id': id,
          'ce-source': source,
          'ce-type': type,
          'content-type': 'text/plain; charset=utf-8',
        };
        const answer = await call(address, { path, headers, authorization, body: data });
        if (answer.status !== 200) throw refusalOf(answer);
        const { partition, position, duplicate } = JSON.parse(answer.text) as {
          partition: number;
          position: number;
          duplicate: boolean;
        };
        return { partition, position, duplicate };
      },
      async subscribe(subscription, credit) {
        const base = `/v1/subscriptions/${subscription}`;
        const path = `${base}/events?ack=explicit&envelope=true&credit=${credit}`;
        const opened = await SseClient.open(address, { path, authorization });
        if (!(opened instanceof SseClient)) throw refusalOf(opened);
        streams.push(opened);
        return streamOf(opened, `${base}/settle`, (path, body) =>
          call(address, { path, body, authorization }),
        );
      },
      async close() {
        await Promise.all(streams.map((stream) => stream.close()));
      },
    };
  },
});
