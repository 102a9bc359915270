import { describe, expect, it } from '@jest/globals';
import type { MeshPort, Receipt } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { Metrics } from '@eventmesh/telemetry';
import { ServedBy } from './inspect/served-by.ts';
import { protocolPort } from './protocol-port.ts';

const receipt = { site: 'west', position: 1, duplicate: false } as unknown as Receipt;
const session = {
  principal: { tenant: 't', kind: 'user', name: 'n', roles: [] },
  expiresMs: 0,
} as const;

describe('a port of one protocol', () => {
  it('counts what was accepted, notes what it serves, and passes everything on', async () => {
    const metrics = new Metrics();
    const served = new ServedBy();
    const duplicate = { ...receipt, duplicate: true };
    const outcomes = [receipt, new MeshError('InvalidArgument', 'no'), duplicate, receipt];
    const attachment = { subscription: { tenant: 't', name: 's' }, consumer: 'c' };
    const inner = {
      site: 'west',
      publish: () => Promise.resolve(outcomes),
      attach: () => Promise.resolve(attachment),
    } as unknown as MeshPort;
    const port = protocolPort(inner, 'http', metrics, served);
    expect(port.site).toBe('west');
    expect(await port.publish(session, [])).toBe(outcomes);
    const value = (name: string) => metrics.value(name, { protocol: 'http' });
    expect(await value('eventmesh_protocol_events_accepted_total')).toBe(2);

    const sink = { deliver: () => undefined } as never;
    expect(await port.attach(session, { subscription: 's' }, sink)).toBe(attachment);
    expect(served.of({ tenant: 't', name: 's' })).toBe('http');
    await protocolPort(inner, 'grpc', metrics, served).attach(session, { subscription: '' }, sink);
    expect(served.of({ tenant: 't', name: 's' })).toBe('grpc');
    served.forget({ tenant: 't', name: 's' });
    expect(served.of({ tenant: 't', name: 's' })).toBeUndefined();
  });
});
