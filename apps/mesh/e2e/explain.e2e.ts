import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type {
  LedgerFinding,
  LedgerLine,
  StoreView,
  Trace,
  WhyAnswer,
  WhyReport,
} from '@eventmesh/adapter-api';
import { eventually } from '@eventmesh/testing';
import type { ContextFile } from '../src/cli/context-file.ts';
import type { LinkBooks, SiteSnapshot } from '../src/dev/snapshot.ts';
import { Workspace, type MeshRun } from './run-mesh.ts';

// Starting and stopping several processes takes its time on a busy machine.
jest.setTimeout(180_000);

const workspace = new Workspace();
let dev: MeshRun;

const startDev = async (): Promise<void> => {
  dev = workspace.start('dev', '--ports', '0', '--json', '--no-sample');
  await dev.until(/"started"/);
};
const run = async (...args: string[]): Promise<void> => {
  const { code, err } = await workspace.run(...args);
  if (code !== 0) throw new Error(`mesh ${args.join(' ')} exited with ${code}: ${err}`);
};
const pub = (id: string, topic: string, ...more: string[]) =>
  run('pub', topic, '{"n":1}', '--id', id, '--site', 'west', ...more);
const subscribe = (name: string, filter: string, ...more: string[]) =>
  run('subscriptions', 'create', name, filter, '--site', 'west', ...more);
const why = (id: string, ...more: string[]) =>
  workspace.json<WhyReport>('why', id, '--site', 'west', ...more);
/** The answer for one subject at one site; without a program for each question. */
const answerFor = async (id: string, subject: string, site = 'west'): Promise<WhyAnswer> => {
  const { answers } = await api<WhyReport>('west', `/v1/why/${id}`);
  const found = answers.find((each) => each.subject === subject && each.site === site);
  if (found === undefined) throw new Error(`no answer for ${subject}: ${JSON.stringify(answers)}`);
  return found;
};

/** The HTTP API of a site, as its administrator. */
async function api<T>(site: string, path: string, body?: object): Promise<T> {
  const file = join(workspace.folder, '.mesh/context.json');
  const context = JSON.parse(readFileSync(file, 'utf8')) as ContextFile;
  const password = context.users['admin'] ?? '';
  const response = await fetch(`${context.sites[site]?.http ?? ''}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok)
    throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as T;
}

/** Publishes at west. Answers the status. */
async function publishAs(
  user: string,
  { topic, id, type, data }: { readonly [name in 'topic' | 'id' | 'type' | 'data']: string },
): Promise<number> {
  const file = join(workspace.folder, '.mesh/context.json');
  const { sites, users } = JSON.parse(readFileSync(file, 'utf8')) as ContextFile;
  const response = await fetch(`${sites['west']?.http ?? ''}/v1/topics/${topic}`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${user}:${users[user] ?? ''}`).toString('base64')}`,
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-source': '/explain',
      'ce-id': id,
      'ce-type': type,
    },
    body: data,
  });
  await response.text();
  return response.status;
}

/** The books of the first link of a site, as the live table last showed them. */
const linkOf = (site: string): LinkBooks | undefined => {
  const shown = dev.out
    .split('\n')
    .filter((line) => line.startsWith('{"time"') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as { readonly sites: readonly SiteSnapshot[] });
  return shown.at(-1)?.sites.find((each) => each.site === site)?.links[0];
};

const pull = async (name: string, site = 'west'): Promise<number> => {
  const path = `/v1/subscriptions/${name}/pull?max=1&waitMs=20000`;
  const { deliveries } = await api<{ deliveries: { id: number }[] }>(site, path, {});
  return deliveries[0]?.id ?? 0;
};
const settle = (name: string, id: number, outcome: object, site = 'west') =>
  api(site, `/v1/subscriptions/${name}/settle`, { ids: [id], ...outcome });

beforeAll(startDev);
afterAll(() => workspace.remove());

describe('mesh why', () => {
  it('follows an event to its delivery at another site', async () => {
    const sub = workspace.start(
      ...['sub', 'far/#', '--site', 'east', '--name', 'far', '--count', '1', '--timeout', '30s'],
    );
    await sub.until(/known at .*west/);
    await pub('delivered-1', 'far/away');
    expect(await sub.ended).toBe(0);
    await eventually(async () => {
      expect(await answerFor('delivered-1', 'far', 'east')).toMatchObject({
        state: 'delivered',
        attempts: 1,
        topic: 'far/away',
        consumer: expect.stringMatching(/./),
      });
    });
    // Those of east when it came, and not of west, by which it was admitted there.
    const far = await answerFor('delivered-1', 'far', 'east');
    expect(far.grantsRevision).toBeGreaterThan(0);
    expect(far.grantsRevision).toBe(far.grantsRevisionNow);
    expect(far.policyRevision).toBe(far.policyRevisionNow);
    const link = await answerFor('delivered-1', 'link to east');
    expect(link).toMatchObject({ state: 'link-accepted', site: 'west' });
    const one = await why('delivered-1', '--subscription', 'far');
    expect(one.answers.map(({ site, subject }) => [site, subject])).toEqual([['east', 'far']]);
  });

  it('says of what expired before it was sent on that its link gave it up, and goes on behind it', async () => {
    await run('subscriptions', 'create', 'timely', 'timely/#', '--site', 'east');
    const past = ['-a', 'expirytime=2001-01-01T00:00:00Z'];
    for (const [id, ...more] of [
      ['over-1', ...past],
      ['over-2', ...past],
      ['alive-1'],
      ['over-3', ...past],
    ]) {
      await pub(id ?? '', 'timely/a', ...more);
    }
    await eventually(async () => {
      expect(await answerFor('alive-1', 'timely', 'east')).toMatchObject({ state: 'not-read' });
      for (const id of ['over-1', 'over-2', 'over-3']) {
        expect(await answerFor(id, 'link to east')).toMatchObject({ state: 'expired' });
        expect(await answerFor(id, 'timely', 'east')).toMatchObject({ state: 'not-here' });
      }
    });
    await pub('alive-2', 'timely/a');
    await eventually(async () => {
      expect(await answerFor('alive-2', 'timely', 'east')).toMatchObject({ state: 'not-read' });
      const link = linkOf('west');
      expect(link?.deadLettered).toBe(3);
      expect(link?.held).toBe(0);
      expect(link?.accepted).toBe((link?.delivered ?? 0) + 3);
    });
  });

  it('names the nearest topic filter and the filter expression that say no', async () => {
    await subscribe('us', 'orders/us/#');
    await subscribe('shipped', 'orders/#', '--filter', 'exact:type=com.example.shipped');
    const nested = '{"all":[{"prefix":{"type":"com."}},{"sql":"type = \'x\' AND TRUE"}]}';
    await subscribe('nested', 'orders/#', '--filter', nested);
    await pub('filtered-1', 'orders/eu/new', '--type', 'com.example.created');
    expect(await answerFor('filtered-1', 'nested')).toMatchObject({
      state: 'filtered',
      reason: `filters[0].all[1].sql says no: type = 'x', but type is "com.example.created"`,
    });
    expect(await answerFor('filtered-1', 'us')).toMatchObject({
      state: 'filtered',
      reason: expect.stringContaining(
        '"orders/us/#": it asks for "us" at level 2, the topic has "eu"',
      ),
    });
    expect(await answerFor('filtered-1', 'shipped')).toMatchObject({
      state: 'filtered',
      reason: expect.stringMatching(
        /filters\[0\]\.exact\.type says no: type = "com\.example\.shipped"/,
      ),
    });
  });

  it('tells what is not read, paused, out, delayed and given up', async () => {
    await subscribe('work', 'work/#');
    await pub('work-1', 'work/a');
    expect(await answerFor('work-1', 'work')).toMatchObject({ state: 'not-read' });
    await run('subscriptions', 'pause', 'work', '--site', 'west');
    expect(await answerFor('work-1', 'work')).toMatchObject({ state: 'paused' });
    await run('subscriptions', 'resume', 'work', '--site', 'west');

    const first = await pull('work');
    expect(await answerFor('work-1', 'work')).toMatchObject({
      state: 'out',
      consumer: 'pull-admin',
      attempts: 1,
      nextMs: expect.any(Number),
    });
    await settle('work', first, { outcome: 'release', delayMs: 60_000 });
    const later = await answerFor('work-1', 'work');
    expect(later).toMatchObject({ state: 'backoff', attempts: 1 });
    expect(later.nextMs).toBeGreaterThan(Date.now());

    await pub('work-2', 'work/b');
    await settle('work', await pull('work'), { outcome: 'reject', reason: 'not for us' });
    await eventually(async () => {
      expect(await answerFor('work-2', 'work')).toMatchObject({
        state: 'dead-lettered',
        reason: 'not for us; it was put among the dead letters',
      });
    });
  });

  it('tells where an event stands that comes again, and nothing of what another subscription did', async () => {
    await subscribe('again', 'again/#');
    await pub('again-1', 'again/a');
    await settle('again', await pull('again'), { outcome: 'accept' });
    const accepted = 'accepted by pull-admin';
    expect(await answerFor('again-1', 'again')).toMatchObject({
      state: 'delivered',
      reason: accepted,
    });
    await run('subscriptions', 'seek', 'again', 'earliest', '--site', 'west');
    await eventually(async () => {
      expect(await answerFor('again-1', 'again')).toMatchObject({
        state: 'not-read',
        reason: expect.stringMatching(new RegExp(`^not read yet: .*; earlier: ${accepted}$`)),
      });
    });
    await pull('again');
    expect(await answerFor('again-1', 'again')).toMatchObject({
      state: 'out',
      attempts: 1,
      reason: expect.stringMatching(new RegExp(`; earlier: ${accepted}$`)),
    });
    await run('subscriptions', 'delete', 'again', '--site', 'west');
    await subscribe('again', 'again/#', '--from', 'earliest');
    const anew = await answerFor('again-1', 'again');
    expect(anew.state).toBe('not-read');
    expect(anew.reason).not.toMatch(/earlier/);
  });

  it('tells what was given up and not kept, and what expired, by what was seen', async () => {
    await subscribe('loose', 'loose/#', '--no-dead-letter');
    const waiting = pull('loose');
    await pub('loose-1', 'loose/a');
    await settle('loose', await waiting, { outcome: 'reject', reason: 'bad' });
    await eventually(async () => {
      expect(await answerFor('loose-1', 'loose')).toMatchObject({
        state: 'dropped',
        reason: 'given up, and not kept: bad',
        consumer: 'pull-admin',
        attempts: 1,
      });
    });
    await pub('loose-2', 'loose/a', '-a', 'expirytime=2001-01-01T00:00:00Z');
    await eventually(async () => {
      expect(await answerFor('loose-2', 'loose')).toMatchObject({
        state: 'expired',
        reason: 'its life ended before it was settled',
        timeUs: expect.any(Number),
      });
    });
    const steps = async (id: string) => {
      const { steps: all } = await api<Trace>('west', `/v1/trace/${id}`);
      return all.filter(({ subject }) => subject === 'loose').map(({ step }) => step);
    };
    expect(await steps('loose-1')).toEqual(['delivered', 'settled', 'dropped']);
    expect(await steps('loose-2')).toEqual(['expired']);
  });

  it('answers for a filter over data that are nested as deep as they like', async () => {
    const filter = '{"data":{"path":"$.a","equals":2}}';
    await subscribe('shallow', 'nested/#', '--filter', filter);
    const deep = 60_000;
    const data = `{"a":${'['.repeat(deep)}${']'.repeat(deep)}}`;
    const status = await publishAs('publisher', {
      topic: 'nested/a',
      id: 'deep-1',
      type: 'com.example.deep',
      data,
    });
    expect(status).toBe(200);
    expect(await answerFor('deep-1', 'shallow')).toMatchObject({
      state: 'filtered',
      reason: 'filters[0].data says no: $.a = 2, but $.a is a list',
    });
  });

  it('tells of a broadcast by its parts, and says when it has none', async () => {
    await subscribe('all', 'all/#', '--broadcast', '--from', 'earliest');
    await pub('all-1', 'all/a');
    expect(await answerFor('all-1', 'all')).toMatchObject({
      state: 'not-read',
      reason: 'no consumer has a part of the broadcast to get it',
    });
    await settle('all', await pull('all'), { outcome: 'accept' });
    for (const more of [[], ['--subscription', 'all']]) {
      await eventually(async () => {
        const { answers } = await why('all-1', ...more);
        const told = answers.filter(({ subject }) => subject.startsWith('all'));
        expect(told.map(({ subject, state }) => [subject, state])).toEqual([
          ['all:pull-admin', 'delivered'],
        ]);
      });
    }
  });

  it('tells what was refused at the gate, and by what', async () => {
    const { code } = await workspace.run(
      ...['pub', 'orders/eu/new', '{}', '--id', 'refused-1', '--user', 'subscriber'],
    );
    expect(code).toBe(77);
    const { answers } = await why('refused-1');
    expect(answers).toEqual([
      expect.objectContaining({
        subject: 'publish',
        state: 'refused',
        topic: 'orders/eu/new',
        reason: expect.stringMatching(/^PermissionDenied \(NO_GRANT\) to subscriber: /),
      }),
    ]);
    const long = 'refused-'.repeat(100);
    const event = { topic: 'orders/eu/new', id: long, type: 'x', data: '{}' };
    expect(await publishAs('subscriber', event)).toBe(403);
    expect(await answerFor(long, 'publish')).toMatchObject({ state: 'refused' });
  });

  it('tells what a quota or a schema refused, by which policies, and that they have changed', async () => {
    const schema = join(workspace.folder, 'bill.json');
    writeFileSync(schema, JSON.stringify({ type: 'object', required: ['total'] }));
    const catalogue = ['catalogue', '--site', 'west'];
    const user = ['--principal', 'publisher'];
    await run(...catalogue, 'types', 'put', 'com.example.bill', '--schema', schema);
    const bill = { topic: 'bills/a', type: 'com.example.bill', data: '{"sum":1}' };
    await eventually(async () => {
      expect(await publishAs('publisher', { ...bill, id: 'unlike-1' })).toBe(400);
    });
    await run(...catalogue, 'quotas', 'put', '--events', '1', ...user);
    await eventually(async () => {
      const much = { ...bill, id: 'much-1', data: '{"total":1}' };
      expect(await publishAs('publisher', much)).toBe(429);
    });
    const quota = await answerFor('much-1', 'publish');
    expect(quota).toMatchObject({
      state: 'refused',
      reason: expect.stringMatching(/^ResourceExhausted \(QUOTA\) to publisher: /),
    });
    expect(quota.policyRevision).toBe(quota.policyRevisionNow);
    const unlike = await answerFor('unlike-1', 'publish');
    expect(unlike).toMatchObject({
      state: 'refused',
      reason: expect.stringMatching(/^InvalidArgument \(\w+\) to publisher: .*total/),
    });
    expect(unlike.grantsRevision).toBeGreaterThan(0);
    expect(unlike.policyRevision).toBeGreaterThan(0);
    expect(unlike.policyRevisionNow).toBeGreaterThan(unlike.policyRevision);
    const { err } = await workspace.run('why', 'unlike-1', '--site', 'west');
    expect(err).toMatch(/west: the policies have changed since it was judged \(revision \d+, now/);
    await run(...catalogue, 'quotas', 'delete', ...user);
  });

  it('tells what expired unread, what came too early, and what waits for its time', async () => {
    await subscribe('slow', 'slow/#');
    await pub('expired-1', 'slow/a', '--expires', '1ms');
    await eventually(async () => {
      expect(await answerFor('expired-1', 'slow')).toMatchObject({ state: 'expired' });
    });
    await subscribe('late', 'slow/#');
    expect(await answerFor('expired-1', 'late')).toMatchObject({
      state: 'before-start',
      reason: expect.stringContaining('stored before the subscription begins'),
    });
    await pub('scheduled-1', 'slow/b', '--after', '1h');
    expect((await why('scheduled-1')).answers).toEqual([
      expect.objectContaining({ subject: 'schedule', state: 'scheduled', topic: 'slow/b' }),
    ]);
  });

  it('tells that the owner may not receive the topic any more', async () => {
    await run('users', 'put', 'ada', '--role', 'clerk', '--password', 'long-enough');
    await run('policies', 'put', 'role:clerk', 'subscribe', 'private/#');
    const ada = ['--user', 'ada:long-enough'];
    await eventually(() => subscribe('clerks', 'private/#', ...ada));
    await run('policies', 'delete', 'role:clerk', 'subscribe', 'private/#');
    await pub('private-1', 'private/a');
    await eventually(async () => {
      expect(await answerFor('private-1', 'clerks')).toMatchObject({
        state: 'forbidden',
        reason: expect.stringMatching(
          /^user:ada, its owner, has no grant to subscribe to "private\/a"/,
        ),
      });
    });
    const denied = await workspace.run('why', 'private-1', '--site', 'west', ...ada);
    expect(denied.code).toBe(77);
  });

  it('judges what was passed by the grants that it was admitted by, also when they have changed', async () => {
    await run('users', 'put', 'eve', '--role', 'reader', '--password', 'long-enough');
    await run('policies', 'put', 'role:reader', 'subscribe', 'past/#');
    await run('policies', 'put', 'role:reader', 'subscribe', 'open/#');
    const eve = ['--user', 'eve:long-enough'];
    await eventually(() => subscribe('readers', 'past/#', 'open/#', ...eve));
    await run('policies', 'delete', 'role:reader', 'subscribe', 'past/#');
    // Until what is published is stamped with the revision that has no grant any more.
    await eventually(async () => {
      await pub('past-0', 'past/a');
      const { reason } = await answerFor('past-0', 'readers');
      expect(reason).toMatch(/has no grant to subscribe to "past\/a"$/);
    });
    await pub('past-1', 'past/a');
    await pub('open-1', 'open/a');
    // What comes after it has been handed out, so it was passed.
    await settle('readers', await pull('readers'), { outcome: 'accept' });
    await run('policies', 'put', 'role:reader', 'subscribe', 'past/#');
    await eventually(async () => {
      const answer = await answerFor('past-1', 'readers');
      expect(answer).toMatchObject({
        state: 'forbidden',
        reason: expect.stringMatching(/had no grant .*\(grants revision \d+\), and has one now$/),
      });
      expect(answer.grantsRevisionJudged).toBe(answer.grantsRevision);
      expect(answer.grantsRevisionNow).toBeGreaterThan(answer.grantsRevision);
    });
    const { err } = await workspace.run('why', 'past-1', '--site', 'west');
    expect(err).toMatch(/west: the grants have changed .*; this is by those of then/);
  });

  it('judges what has come over a link by the grants of its own site when it came', async () => {
    const east = ['--site', 'east'];
    const reads = ['role:visitor', 'subscribe'];
    await run('users', 'put', 'vic', '--role', 'visitor', '--password', 'long-enough', ...east);
    await run('policies', 'put', ...reads, 'abroad/#', ...east);
    await run('policies', 'put', ...reads, 'known/#', ...east);
    const make = ['subscriptions', 'create', 'visitors', 'abroad/#', 'known/#', ...east];
    await eventually(() => run(...make, '--user', 'vic:long-enough'));
    await run('policies', 'delete', ...reads, 'abroad/#', ...east);
    await eventually(async () => {
      await pub('abroad-0', 'abroad/a');
      const { reason } = await answerFor('abroad-0', 'visitors', 'east');
      expect(reason).toMatch(/has no grant to subscribe to "abroad\/a"$/);
    });
    await pub('abroad-1', 'abroad/a');
    await pub('known-1', 'known/a');
    await settle('visitors', await pull('visitors', 'east'), { outcome: 'accept' }, 'east');
    await run('policies', 'put', ...reads, 'abroad/#', ...east);
    await eventually(async () => {
      const answer = await answerFor('abroad-1', 'visitors', 'east');
      expect(answer).toMatchObject({
        state: 'forbidden',
        reason: expect.stringMatching(/had no grant .*\(grants revision \d+\), and has one now$/),
      });
      expect(answer.grantsRevisionJudged).toBe(answer.grantsRevision);
      expect(answer.grantsRevisionNow).toBeGreaterThan(answer.grantsRevision);
    });
  });

  it('tells a subscription of another site why the event is not there', async () => {
    await pub('before-1', 'newcomer/a');
    await run('subscriptions', 'create', 'newcomer', 'newcomer/#', '--site', 'east');
    expect(await answerFor('before-1', 'newcomer', 'east')).toMatchObject({
      state: 'not-here',
      position: 0,
      reason: expect.stringContaining('the subscription was made after it was published'),
    });
  });

  it('says when it knows neither the event nor the subscription', async () => {
    expect((await workspace.run('why', 'nobody-knows', '--site', 'west')).code).toBe(66);
    const { code, err } = await workspace.run('why', 'before-1', '--subscription', 'none');
    expect(code).toBe(66);
    expect(err).toMatch(/no site has a subscription "none"/);
  });

  it('finds an event in the store that the journal has forgotten, and says how far it looked', async () => {
    expect(await dev.stop('SIGINT')).toBe(0);
    await startDev();
    const report = await why('filtered-1');
    expect(report.answers.find(({ subject }) => subject === 'us')).toMatchObject({
      state: 'filtered',
    });
    const [search] = report.searches.filter(({ site }) => site === 'west');
    expect(search).toMatchObject({ partition: 0, from: 1, first: 1 });
    const { err } = await workspace.run('why', 'filtered-1', '--site', 'west');
    expect(err).toMatch(/west, partition 0: not remembered, so \d+ records were looked through/);
  });
});

describe('mesh ledger --check', () => {
  it('finds the books in agreement with the store, before and after a restart', async () => {
    for (const site of ['west', 'east']) {
      await eventually(async () => {
        const { code, out } = await workspace.run(
          'ledger',
          '--check',
          '--site',
          site,
          '-o',
          'json',
        );
        const findings = JSON.parse(out) as LedgerFinding[];
        expect(findings.filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
        expect(code).toBe(0);
      });
    }
    const findings = await workspace.json<LedgerFinding[]>('ledger', '--check', '--site', 'west');
    expect(new Set(findings.map(({ check }) => check))).toEqual(
      new Set(['stored', 'dead-letters', 'outcomes', 'progress']),
    );
    expect(findings.find(({ check }) => check === 'dead-letters')).toMatchObject({
      expected: 1,
      counted: 1,
    });
    const lines = await workspace.json<LedgerLine[]>('ledger', '--site', 'west');
    expect(lines.find(({ subscription }) => subscription === '')).toMatchObject({
      sinceMs: expect.any(Number),
    });
  });
});

describe('mesh store status', () => {
  it('says how durable the store is, how that was found out, and what it is too weak for', async () => {
    await run('catalogue', 'topics', 'put', 'bank/#', '--durability', 'quorum-fsync');
    await eventually(async () => {
      const view = await workspace.json<StoreView>('store', 'status', '--site', 'west');
      expect(view).toMatchObject({
        store: 'embedded',
        durability: 'fsync',
        refusedTopics: [{ topicFilter: 'bank/#', demands: 'quorum-fsync' }],
      });
      expect(view.evidence.join(' ')).toMatch(/synchronous commits/);
      const events = view.logs.find(({ log }) => log === 'events.default');
      expect(events?.partitions[0]).toMatchObject({ partition: 0, first: 1 });
    });
    const { out } = await workspace.run('store', 'status', '--site', 'west');
    expect(out).toMatch(/west: embedded, durability fsync/);
    expect(out).toMatch(/bank\/# +quorum-fsync/);
    const refused = await workspace.run('pub', 'bank/a', 'x', '--site', 'west');
    expect(refused.code).not.toBe(0);
    expect(refused.err).toMatch(/demands durability quorum-fsync; the store does fsync/);
    const direct = await workspace.run('pub', 'bank/a', 'x', '--direct', '--site', 'west');
    expect(direct.code).not.toBe(0);
    expect(direct.err).toMatch(/a direct event is not stored; publish it as durable/);
  });
});
