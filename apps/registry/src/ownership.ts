import { MeshError, invalid } from '@eventmesh/errors';
import type { Kv, KvEntry } from '@eventmesh/kv-api';
import type { Member } from '@eventmesh/proto-gen/registry';
import { DECODE, decodeJson, decodeNumber, encodeText, key } from './keys.ts';
import type { Members } from './members.ts';
import type { Parts } from './parts.ts';

const NAME_LENGTH_MAX = 512;
/** Lost races for one name until the caller is told to try again. */
const ATTEMPTS_MAX = 8;

interface Owner {
  readonly memberId: string;
  readonly leaseId: string;
  readonly epoch: number;
}

/**
 * Who owns what, at most one live member per name. The owner's key hangs on its lease; the epoch
 * counter beside it stays, so each new owner gets an epoch above all before it, whatever was
 * restarted in between. A write under an older epoch is for the store to refuse.
 */
export class Ownership {
  readonly #parts: Parts;
  /** The control state below the ownership root. */
  readonly #kv: Kv;
  readonly #members: Members;

  constructor(parts: Parts, ownershipKv: Kv, members: Members) {
    this.#parts = parts;
    this.#kv = ownershipKv;
    this.#members = members;
  }

  /**
   * Returns the epoch. Asking again under the same lease returns the same one. Throws Aborted while
   * another lease owns the name, naming its member in the facts.
   */
  async acquire(name: string, memberId: string, leaseId: string): Promise<number> {
    checkOwned(name);
    const lease = await this.#members.lease(leaseId);
    if (lease.memberId !== memberId) {
      throw invalid('member_id', `the lease belongs to member "${lease.memberId}"`);
    }
    const { ownership } = this.#parts.metrics;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const owner = readOwner(await this.#kv.get(`owners/${name}`));
      if (owner !== undefined) {
        ownership.inc({ outcome: owner.leaseId === leaseId ? 'kept' : 'refused' });
        if (owner.leaseId === leaseId) return owner.epoch;
        throw new MeshError('Aborted', `"${name}" is owned by member "${owner.memberId}"`, {
          field: 'name',
          reason: 'OWNED',
          retryAfterMs: 1000,
          facts: { owner: owner.memberId, epoch: String(owner.epoch) },
        });
      }
      const epoch = await this.#take(name, memberId, leaseId);
      if (epoch === undefined) continue;
      ownership.inc({ outcome: 'acquired' });
      return epoch;
    }
    throw new MeshError('Aborted', `"${name}" changes hands too fast; try again`, {
      field: 'name',
      retryAfterMs: 100,
    });
  }

  /** Gives a name up; no error when the lease does not own it. */
  async release(name: string, leaseId: string): Promise<void> {
    checkOwned(name);
    const entry = await this.#kv.get(`owners/${name}`);
    if (entry === undefined || readOwner(entry)?.leaseId !== leaseId) return;
    const result = await this.#kv.delete(`owners/${name}`, { ifRevision: entry.modRevision });
    if (result.applied) this.#parts.metrics.ownership.inc({ outcome: 'released' });
  }

  async owner(name: string): Promise<{ owner: Member | undefined; epoch: number }> {
    checkOwned(name);
    const owner = readOwner(await this.#kv.get(`owners/${name}`));
    if (owner === undefined) {
      const counter = await this.#kv.get(`epochs/${name}`);
      return { owner: undefined, epoch: counter === undefined ? 0 : decodeNumber(counter.value) };
    }
    const member = await this.#parts.kv.get(key('members', owner.memberId));
    return {
      owner: member === undefined ? undefined : DECODE.members(member.value),
      epoch: owner.epoch,
    };
  }

  /** One compare-and-set for owner and epoch; undefined when somebody else was faster. */
  async #take(name: string, memberId: string, leaseId: string): Promise<number | undefined> {
    const counter = await this.#kv.get(`epochs/${name}`);
    const epoch = (counter === undefined ? 0 : decodeNumber(counter.value)) + 1;
    const owner: Owner = { memberId, leaseId, epoch };
    const result = await this.#kv.transact({
      compare: [
        { key: `owners/${name}`, modRevision: 0 },
        { key: `epochs/${name}`, modRevision: counter?.modRevision ?? 0 },
      ],
      then: [
        { type: 'put', key: `epochs/${name}`, value: encodeText(String(epoch)) },
        {
          type: 'put',
          key: `owners/${name}`,
          value: encodeText(JSON.stringify(owner)),
          lease: leaseId,
        },
      ],
    });
    return result.applied ? epoch : undefined;
  }
}

const readOwner = (entry: KvEntry | undefined): Owner | undefined =>
  entry === undefined ? undefined : (decodeJson(entry.value) as Owner);

function checkOwned(name: string): void {
  if (name === '' || name.length > NAME_LENGTH_MAX) {
    throw invalid('name', `must have 1 to ${NAME_LENGTH_MAX} characters`, {
      limit: `${NAME_LENGTH_MAX} characters`,
    });
  }
}
