import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { MeshError, unavailable } from '@eventmesh/errors';
import { createLogger } from '@eventmesh/telemetry';
import { Ownerships } from './ownerships.ts';

const NAME = 'subscription/acme/billing';

/** The registry as one member sees it; others take names behind its back. */
class Registry {
  lease = 1;
  member = true;
  away = false;
  /** Calls that reached it. */
  readonly asked: string[] = [];
  readonly #epochs = new Map<string, { epoch: number; owner: string; holder: string }>();

  get leaseId(): string {
    if (!this.member) throw unavailable('no member');
    return `lease-${this.lease}`;
  }

  async acquire(name: string, resumeEpoch = 0n): Promise<bigint> {
    const by = this.leaseId;
    await Promise.resolve();
    if (this.away) throw unavailable('the registry is away');
    this.asked.push(`${name} ${resumeEpoch}`);
    const { epoch, owner, holder } = this.#of(name);
    if (owner === by) return BigInt(epoch);
    if (owner !== '') throw new MeshError('Aborted', 'owned', { reason: 'OWNED' });
    if (resumeEpoch === 0n) this.#epochs.set(name, { epoch: epoch + 1, owner: by, holder: 'me' });
    else if (resumeEpoch === BigInt(epoch) && holder === 'me') {
      this.#epochs.set(name, { epoch, owner: by, holder });
    } else throw new MeshError('Aborted', 'ended', { reason: 'EPOCH_ENDED' });
    return BigInt(this.#of(name).epoch);
  }

  async release(name: string): Promise<void> {
    const by = this.leaseId;
    await Promise.resolve();
    if (this.away) throw unavailable('the registry is away');
    const { epoch, owner, holder } = this.#of(name);
    if (owner !== by && holder !== 'me') return;
    this.#epochs.set(name, { epoch, owner: owner === by ? '' : owner, holder: '' });
  }

  takenByAnother(name: string): void {
    this.#epochs.set(name, { epoch: this.#of(name).epoch + 1, owner: 'other', holder: 'other' });
  }

  /** The lease ends in the store. */
  end(): void {
    this.member = false;
    for (const [name, each] of this.#epochs) {
      if (each.owner === `lease-${this.lease}`) this.#epochs.set(name, { ...each, owner: '' });
    }
  }

  join(): string {
    this.lease++;
    this.member = true;
    return this.leaseId;
  }

  #of(name: string) {
    return this.#epochs.get(name) ?? { epoch: 0, owner: '', holder: '' };
  }
}

function setUp() {
  const registry = new Registry();
  const lost: string[] = [];
  const owned = new Ownerships({
    view: registry,
    logger: createLogger({ level: 'silent', service: 'test' }),
    onLost: (name, epoch) => lost.push(`${name} ${epoch}`),
  });
  const lapse = () => {
    registry.end();
    owned.lapsed();
  };
  return { registry, owned, lost, lapse };
}

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick'] });
});

afterEach(() => {
  jest.useRealTimers();
});

describe('what an emesher owns, when its lease has ended,', () => {
  it('stays with its epoch when nobody else owned it, and nobody is told', async () => {
    const { registry, owned, lost, lapse } = setUp();
    expect(await owned.acquire(NAME, true)).toBe(1);
    expect(await owned.acquire('link/east', true)).toBe(1);
    lapse();
    expect(lost).toEqual([]);
    await owned.confirmed(registry.join());
    expect(registry.asked.slice(2)).toEqual([`${NAME} 1`, 'link/east 1']);
    // Under the new lease it is owned as it was.
    expect(await owned.acquire(NAME, true)).toBe(1);
    lapse();
    await owned.confirmed(registry.join());
    await jest.advanceTimersByTimeAsync(60_000);
    expect(lost).toEqual([]);
  });

  it('is lost when another member owned it meanwhile, be it no more', async () => {
    const { registry, owned, lost, lapse } = setUp();
    await owned.acquire(NAME, true);
    await owned.acquire('link/east', true);
    lapse();
    registry.takenByAnother(NAME);
    await owned.confirmed(registry.join());
    expect(lost).toEqual([`${NAME} 1`]);
    lapse();
    await owned.confirmed(registry.join());
    expect(lost).toEqual([`${NAME} 1`]);
  });

  it('is lost at once when no store fences it', async () => {
    const { registry, owned, lost, lapse } = setUp();
    await owned.acquire(NAME, false);
    lapse();
    expect(lost).toEqual([`${NAME} 1`]);
    await owned.confirmed(registry.join());
    expect(registry.asked).toEqual([`${NAME} 0`]);
  });

  it('is asked for again while the registry does not answer', async () => {
    const { registry, owned, lost, lapse } = setUp();
    await owned.acquire(NAME, true);
    lapse();
    registry.away = true;
    const decided = owned.confirmed(registry.join());
    await jest.advanceTimersByTimeAsync(5000);
    registry.away = false;
    await jest.advanceTimersByTimeAsync(1000);
    await decided;
    expect(lost).toEqual([]);
    expect(registry.asked).toEqual([`${NAME} 0`, `${NAME} 1`]);
  });

  it('is lost when nothing is decided in 30 s, so that a process whose id another one has ends', async () => {
    const { owned, lost, lapse } = setUp();
    await owned.acquire(NAME, true);
    lapse();
    await jest.advanceTimersByTimeAsync(29_000);
    expect(lost).toEqual([]);
    await jest.advanceTimersByTimeAsync(2000);
    expect(lost).toEqual([`${NAME} 1`]);
  });

  it('is not asked for when it was given up meanwhile', async () => {
    const { registry, owned, lost, lapse } = setUp();
    await owned.acquire(NAME, true);
    lapse();
    await owned.release(NAME);
    await owned.confirmed(registry.join());
    expect(registry.asked).toEqual([`${NAME} 0`]);
    // Its next run is another one, and must not go by the same epoch.
    expect(await owned.acquire(NAME, true)).toBe(2);
    expect(lost).toEqual([]);
  });

  it('is not given up by what was taken anew before the answer', async () => {
    const { registry, owned, lost, lapse } = setUp();
    await owned.acquire(NAME, true);
    lapse();
    const leaseId = registry.join();
    const anew = owned.acquire(NAME, true);
    await owned.confirmed(leaseId);
    expect(await anew).toBe(2);
    expect(lost).toEqual([]);
    expect(await owned.acquire(NAME, true)).toBe(2);
  });
});

it('a name that was acquired under a lease that ended meanwhile is refused to the caller', async () => {
  const { registry, owned, lost, lapse } = setUp();
  const acquired = owned.acquire(NAME, true);
  lapse();
  registry.join();
  await expect(acquired).rejects.toMatchObject({ code: 'Unavailable' });
  expect(lost).toEqual([]);
});
