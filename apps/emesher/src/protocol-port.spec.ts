import { describe, expect, it } from '@jest/globals';
import type { Attachment, Delivery, DeliverySink, MeshPort, Receipt } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { Metrics } from '@eventmesh/telemetry';
import { protocolPort } from './protocol-port.ts';

const receipt = { site: 'west', position: 1 } as unknown as Receipt;
const session = {
  principal: { tenant: 't', kind: 'user', name: 'n', roles: [] },
  expiresMs: 0,
} as const;

describe('a port of one protocol', () => {
  it('counts what was accepted and what was handed out, and passes everything on', async () => {
    const metrics = new Metrics();
    const outcomes = [receipt, new MeshError('InvalidArgument', 'no'), receipt];
    let attached: DeliverySink | undefined;
    const inner = {
      site: 'west',
      publish: () => Promise.resolve(outcomes),
      attach: (_session: unknown, _options: unknown, sink: DeliverySink) => {
        attached = sink;
        return Promise.resolve({} as Attachment);
      },
    } as unknown as MeshPort;
    const port = protocolPort(inner, 'http', metrics);
    expect(port.site).toBe('west');
    expect(await port.publish(session, [])).toBe(outcomes);

    const seen: unknown[] = [];
    await port.attach(
      session,
      { subscription: 's' },
      {
        deliver: (deliveries) => seen.push(...deliveries),
        gap: (gap) => seen.push(gap),
        refused: () => undefined,
        ended: (reason) => seen.push(reason),
      },
    );
    const gap = { partition: 0, from: 1, to: 2 };
    const reason = new MeshError('Unavailable', 'over');
    attached?.deliver([{ id: 1 }, { id: 2 }] as Delivery[]);
    attached?.gap(gap);
    attached?.ended(reason);
    expect(seen).toEqual([{ id: 1 }, { id: 2 }, gap, reason]);
    const value = (name: string) => metrics.value(name, { protocol: 'http' });
    expect(await value('eventmesh_protocol_events_accepted_total')).toBe(2);
    expect(await value('eventmesh_protocol_events_delivered_total')).toBe(2);
  });
});
