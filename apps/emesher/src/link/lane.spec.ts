import { describe, expect, it } from '@jest/globals';
import { NO_HANDLING, decodeRecord, encodeEvent, encodeRecord } from '@eventmesh/event';
import { Lane } from './lane.ts';
import { LaneBooks } from './link-books.ts';
import { Passed } from './passed.ts';
import { RouteTap } from './route-tap.ts';

const BYTES = 1000;

const record = (destinations: readonly string[]) => {
  const data = { kind: 'binary', bytes: Buffer.alloc(BYTES) } as const;
  const head = {
    tenant: 't',
    topic: 'a',
    principal: 'p',
    originSite: 'west',
    destinations: [...destinations],
    ingressTimeUs: 7,
    hops: [],
    handling: NO_HANDLING,
  };
  return decodeRecord(encodeRecord(head, encodeEvent({ id: '1', source: '/s', type: 't', data })));
};

/** A lane that has looked at records for these sites; east is the neighbour. */
function laneOf(...looked: readonly (readonly string[])[]) {
  const books = new LaneBooks();
  const hop = (_: number, site: string) => (site === 'far' ? 'mid' : site);
  const tap = new RouteTap('east', hop, 1e6, books, () => undefined, new Passed());
  const lane = new Lane({ tenant: 't', partition: 0 }, tap, books, 0, 0);
  for (const [index, sites] of looked.entries()) tap.offer(0, index + 1, record(sites));
  tap.advance(0, looked.length);
  const send = (bytes: number) => {
    const gathered = tap.take(bytes);
    if (gathered === undefined) throw new Error('nothing has gathered');
    return lane.frame(gathered, gathered.records);
  };
  return { lane, tap, send };
}

describe('a lane of a link', () => {
  it('tells what it has passed by with the last record before it, and not what waits for room', () => {
    const { lane, send } = laneOf(['far'], ['east'], ['far'], [], ['east'], [], ['far']);
    expect(lane.passedFrame()).toBeUndefined();
    const first = send(1);
    expect(first.records?.length).toBe(1);
    expect(first.passed).toBeUndefined();
    expect(lane.hasPassed).toBe(false);
    const second = send(1);
    expect(second).toMatchObject({
      previous: 2n,
      upTo: 7n,
      records: [{ position: 5n }],
      passed: { upTo: 7n, ingressTimeUs: 7n, sites: [{ site: 'far', first: 6n, last: 7n }] },
    });
    expect(lane.hasPassed).toBe(false);
  });

  it('tells it without records when there are none, and goes on when that was answered', () => {
    const { lane, tap, send } = laneOf(['east'], [], ['far']);
    send(1e6);
    tap.offer(0, 4, record([]));
    expect(lane.passedFrame()).toMatchObject({ previous: 1n, passed: { upTo: 4n } });
    expect(lane.passedFrame()).toBeUndefined();
    tap.offer(0, 5, record([]));
    // A receiver of before answers without saying what it keeps.
    lane.accepted(1, 0);
    expect(lane.passedFrame()).toBeUndefined();
    lane.accepted(1, 4);
    expect(lane.passedFrame()).toMatchObject({ previous: 1n, passed: { upTo: 5n } });
  });

  it('counts as passed by what expired while it waited', () => {
    const { lane, tap } = laneOf(['east'], ['east']);
    tap.take(1e6);
    expect(lane.passedFrame()).toMatchObject({ previous: 0n, passed: { upTo: 2n, sites: [] } });
  });
});
