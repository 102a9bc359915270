import { describe, expect, it } from '@jest/globals';
import { decodeRecord, encodeRecord } from '@eventmesh/event';
import type { EventStep } from '../journal.ts';
import { linkAnswers } from './link-answers.ts';

const record = decodeRecord(
  encodeRecord(
    {
      tenant: 't',
      topic: 'a',
      principal: 'p',
      originSite: 'west',
      destinations: ['east', 'south', 'lost'],
      ingressTimeUs: 1,
      hops: [],
    },
    Buffer.alloc(0),
  ),
);
const copy = { partition: 0, position: 7, source: '/s', topic: 'a', record };
const step = (name: string): EventStep => ({
  timeUs: 5,
  step: name,
  subject: 'hub',
  detail: '',
  partition: 0,
  position: 7,
});
const answers = (steps: readonly EventStep[], up: boolean, held: boolean) =>
  linkAnswers(
    { site: 'west', nextHop: (site) => (site === 'lost' ? undefined : 'hub') },
    copy,
    steps,
    [
      { partition: 0, position: 7, to: 'other', up: !up, held: !held },
      { partition: 0, position: 7, to: 'hub', up, held },
    ],
  );

describe('an event on the links of a site', () => {
  it.each([
    [
      'is stored by the neighbour',
      ['forwarded', 'link-accepted'],
      true,
      false,
      'link-accepted',
      'hub has stored it, for east, south',
    ],
    [
      'expired before it was sent',
      ['link-expired'],
      true,
      false,
      'expired',
      'its life ended before it was sent on to east, south',
    ],
    [
      'is sent and not accepted',
      ['forwarded'],
      true,
      true,
      'on-link',
      'sent and not accepted, for east, south; the link is up',
    ],
    [
      'was sent when the link broke',
      ['forwarded'],
      false,
      true,
      'on-link',
      'sent and not accepted, for east, south; the link is down from here',
    ],
    [
      'was sent before another emesher took the link',
      ['forwarded'],
      true,
      false,
      'on-link',
      'sent, for east, south, and it is not known here whether it was accepted; hub can tell',
    ],
    [
      'waits for the window',
      [],
      true,
      true,
      'on-link',
      'waits to be sent, for east, south; the link is up',
    ],
    [
      'waits for the link',
      [],
      false,
      false,
      'on-link',
      'waits in the store for east, south; the link is down from here',
    ],
    [
      'is forgotten here',
      [],
      true,
      false,
      'on-link',
      'no longer remembered here, or not read yet, for east, south; the link is up, and hub can tell',
    ],
  ])('%s', (_, steps, up, held, state, reason) => {
    const all = answers(steps.map(step), up, held);
    expect(all.map(({ subject }) => subject)).toEqual(['link to hub', 'link to lost']);
    expect(all[0]).toMatchObject({ state, reason, position: 7 });
    expect(all[1]).toMatchObject({
      state: 'on-link',
      reason: expect.stringContaining('no route to lost'),
    });
  });
});
