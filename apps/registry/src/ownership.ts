import { MeshError, invalid } from '@eventmesh/errors';
import type { Kv, KvEntry } from '@eventmesh/kv-api';
import type { Member } from '@eventmesh/proto-gen/registry';
import { Background } from './background.ts';
import { Epochs, readEpoch } from './epochs.ts';
import { DECODE, decodeJson, encodeText, key } from './keys.ts';
import type { Members } from './members.ts';
import type { Parts } from './parts.ts';

const NAME_LENGTH_MAX = 512;
/** Time between two looks at the names that nobody owns; what is found twice loses its epoch. */
const IDLE_MS = 600_000;
/** Lost races for one name until the caller is told to try again. */
const ATTEMPTS_MAX = 8;

interface Owner {
  readonly memberId: string;
  readonly leaseId: string;
  readonly epoch: number;
}

/** To whom an epoch was given; stays when the owner's lease ends, for a while. */
type Holder = Pick<Owner, 'memberId' | 'epoch'>;

/**
 * Who owns what, at most one live member per name. The owner's key hangs on its lease; the epochs
 * beside it stay, so each new owner gets one above all before it, whatever was restarted in between
 * (see `Epochs`). A write under an older epoch is for the store to refuse. The holder of the
 * last epoch stays beside it: while nobody has raised it, that member may resume what it owned.
 */
export class Ownership {
  readonly #parts: Parts;
  /** The control state below the ownership root. */
  readonly #kv: Kv;
  readonly #epochs: Epochs;
  readonly #members: Members;
  readonly #looks: Background;

  constructor(
    parts: Parts,
    ownershipKv: Kv,
    members: Members,
    onError: (error: MeshError) => void,
  ) {
    this.#parts = parts;
    this.#kv = ownershipKv;
    this.#epochs = new Epochs(ownershipKv);
    this.#members = members;
    this.#looks = new Background(() => this.#dropEpochs(), parts.clock, onError);
  }

  /** Begins to drop the epochs of names that nobody owns any more. */
  start(): void {
    this.#looks.poke();
  }

  close(): Promise<void> {
    return this.#looks.close();
  }

  /**
   * Returns the epoch. Asking again under the same lease returns the same one. Throws Aborted: OWNED
   * while another lease owns the name, naming its member in the facts; EPOCH_ENDED when what the
   * member owned under `resumeEpoch` cannot be resumed.
   * @param resumeEpoch 0: a new ownership
   */
  async acquire(name: string, memberId: string, leaseId: string, resumeEpoch = 0): Promise<number> {
    checkOwned(name);
    const lease = await this.#members.lease(leaseId);
    if (lease.memberId !== memberId) {
      throw invalid('member_id', `the lease belongs to member "${lease.memberId}"`);
    }
    const wanted = { name, memberId, leaseId };
    const { ownership } = this.#parts.metrics;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const owner = readOwner(await this.#kv.get(`owners/${name}`));
      if (owner !== undefined) return this.#keep(owner, wanted, resumeEpoch);
      const epoch = await (resumeEpoch === 0
        ? this.#take(wanted)
        : this.#resume(wanted, resumeEpoch));
      if (epoch === undefined) continue;
      ownership.inc({ outcome: resumeEpoch === 0 ? 'acquired' : 'resumed' });
      return epoch;
    }
    throw tooFast(name);
  }

  /**
   * Gives a name up, and the right to resume it; no error when the lease does not own it. A request
   * to resume that is still on its way is refused after this.
   */
  async release(name: string, leaseId: string): Promise<void> {
    checkOwned(name);
    const lease = await this.#members.find(leaseId);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const owner = await this.#kv.get(`owners/${name}`);
      const holder = await this.#kv.get(`holders/${name}`);
      const owns = owner !== undefined && readOwner(owner)?.leaseId === leaseId;
      const held = lease !== undefined && readHolder(holder)?.memberId === lease.memberId;
      if (!owns && !held) return;
      const result = await this.#kv.transact({
        compare: [
          { key: `owners/${name}`, modRevision: owner?.modRevision ?? 0 },
          { key: `holders/${name}`, modRevision: holder?.modRevision ?? 0 },
        ],
        then: [
          ...(owns ? [{ type: 'delete', key: `owners/${name}` } as const] : []),
          ...(held ? [{ type: 'delete', key: `holders/${name}` } as const] : []),
        ],
      });
      if (!result.applied) continue;
      if (owns) this.#parts.metrics.ownership.inc({ outcome: 'released' });
      return;
    }
    throw tooFast(name);
  }

  /**
   * Does what a name ends with, and takes it from whoever owned it before: the next owner need not
   * wait for the lease of one that does not answer, and has an epoch above its.
   */
  async endWith(name: string, work: () => Promise<void>): Promise<void> {
    const owner = await this.#kv.get(`owners/${name}`);
    await work();
    if (owner === undefined) return;
    await this.#kv.transact({
      compare: [{ key: owner.key, modRevision: owner.modRevision }],
      then: [
        { type: 'delete', key: owner.key },
        { type: 'delete', key: `holders/${name}` },
      ],
    });
  }

  async owner(name: string): Promise<{ owner: Member | undefined; epoch: number }> {
    checkOwned(name);
    const owner = readOwner(await this.#kv.get(`owners/${name}`));
    if (owner === undefined) return { owner: undefined, epoch: await this.#epochs.last(name) };
    const member = await this.#parts.kv.get(key('members', owner.memberId));
    return {
      owner: member === undefined ? undefined : DECODE.members(member.value),
      epoch: owner.epoch,
    };
  }

  async #dropEpochs(): Promise<void> {
    this.#parts.metrics.ownership.inc({ outcome: 'dropped' }, await this.#epochs.drop());
    this.#looks.pokeAfter(IDLE_MS);
  }

  /** What is owned stays with its lease. */
  #keep(owner: Owner, { name, leaseId }: Wanted, resumeEpoch: number): number {
    const { ownership } = this.#parts.metrics;
    if (owner.leaseId !== leaseId) {
      ownership.inc({ outcome: 'refused' });
      throw new MeshError('Aborted', `"${name}" is owned by member "${owner.memberId}"`, {
        field: 'name',
        reason: 'OWNED',
        retryAfterMs: 1000,
        facts: { owner: owner.memberId, epoch: String(owner.epoch) },
      });
    }
    if (resumeEpoch !== 0 && owner.epoch !== resumeEpoch) throw this.#ended(name, resumeEpoch);
    ownership.inc({ outcome: 'kept' });
    return owner.epoch;
  }

  /** One compare-and-set for owner and epoch; undefined when somebody else was faster. */
  async #take({ name, memberId, leaseId }: Wanted): Promise<number | undefined> {
    const { epoch, compare, put } = await this.#epochs.next(name);
    const result = await this.#kv.transact({
      compare: [{ key: `owners/${name}`, modRevision: 0 }, ...compare],
      then: [
        put,
        putJson(`holders/${name}`, { memberId, epoch } satisfies Holder),
        putJson(`owners/${name}`, { memberId, leaseId, epoch } satisfies Owner, leaseId),
      ],
    });
    return result.applied ? epoch : undefined;
  }

  /**
   * The owner's key under the new lease, in one compare-and-set with the proof that nobody was owner
   * in between: no owner's key, and the epoch and its holder as they were. A registry that knows no
   * holders raises the epoch alone, and then the two differ.
   */
  async #resume({ name, memberId, leaseId }: Wanted, epoch: number): Promise<number | undefined> {
    const counter = await this.#epochs.counter(name);
    const entry = await this.#kv.get(`holders/${name}`);
    const holder = readHolder(entry);
    const mine = holder?.memberId === memberId && holder.epoch === epoch;
    if (!mine || entry === undefined || counter === undefined || readEpoch(counter) !== epoch) {
      throw this.#ended(name, epoch);
    }
    const result = await this.#kv.transact({
      compare: [
        { key: `owners/${name}`, modRevision: 0 },
        { key: counter.key, modRevision: counter.modRevision },
        { key: `holders/${name}`, modRevision: entry.modRevision },
      ],
      then: [putJson(`owners/${name}`, { memberId, leaseId, epoch } satisfies Owner, leaseId)],
    });
    return result.applied ? epoch : undefined;
  }

  #ended(name: string, epoch: number): MeshError {
    this.#parts.metrics.ownership.inc({ outcome: 'refused' });
    return new MeshError(
      'Aborted',
      `epoch ${epoch} of "${name}" has ended: it was owned by another member, or given up, since; take it anew`,
      { field: 'resume_epoch', reason: 'EPOCH_ENDED' },
    );
  }
}

interface Wanted {
  readonly name: string;
  readonly memberId: string;
  readonly leaseId: string;
}

const readOwner = (entry: KvEntry | undefined): Owner | undefined =>
  entry === undefined ? undefined : (decodeJson(entry.value) as Owner);

const readHolder = (entry: KvEntry | undefined): Holder | undefined =>
  entry === undefined ? undefined : (decodeJson(entry.value) as Holder);

function putJson(at: string, value: Owner | Holder, lease?: string) {
  const put = { type: 'put', key: at, value: encodeText(JSON.stringify(value)) } as const;
  return lease === undefined ? put : { ...put, lease };
}

const tooFast = (name: string): MeshError =>
  new MeshError('Aborted', `"${name}" changes hands too fast; try again`, {
    field: 'name',
    retryAfterMs: 100,
  });

function checkOwned(name: string): void {
  if (name === '' || name.length > NAME_LENGTH_MAX) {
    throw invalid('name', `must have 1 to ${NAME_LENGTH_MAX} characters`, {
      limit: `${NAME_LENGTH_MAX} characters`,
    });
  }
}
