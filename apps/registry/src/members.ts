import { create, toBinary } from '@bufbuild/protobuf';
import { MeshError, invalid } from '@eventmesh/errors';
import { leaseNotFound } from '@eventmesh/kv-api';
import { Member_Kind, MemberSchema, type Member } from '@eventmesh/proto-gen/registry';
import { DECODE, encodeText, key, type LeaseInfo } from './keys.ts';
import { isName, type Parts } from './parts.ts';

const TTL_MS_DEFAULT = 5000;
const TTL_MS_MIN = 1000;
const TTL_MS_MAX = 60_000;
const ADDRESS_LENGTH_MAX = 256;
const KIND_NAMES: ReadonlyMap<Member_Kind, string> = new Map([
  [Member_Kind.EMESHER, 'emesher'],
  [Member_Kind.STORE_GATEWAY, 'store-gateway'],
  [Member_Kind.ACL, 'acl'],
  [Member_Kind.GOVERNANCE, 'governance'],
]);

/** Who is here: members, each alive as long as its lease. */
export class Members {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
    parts.state.onChange((changes) => {
      for (const { area, previous, current } of changes) {
        if (area !== 'members') continue;
        if (previous === undefined) parts.metrics.memberChanges.inc({ change: 'joined' });
        if (current === undefined) parts.metrics.memberChanges.inc({ change: 'left' });
        this.#gauge();
      }
    });
  }

  async join(given: Member | undefined, ttl: bigint): Promise<{ leaseId: string; ttlMs: number }> {
    const { kv, clock, site } = this.#parts;
    const ttlMs = ttl === 0n ? TTL_MS_DEFAULT : Number(ttl);
    if (ttlMs < TTL_MS_MIN || ttlMs > TTL_MS_MAX) {
      throw invalid('ttl_ms', `must be ${TTL_MS_MIN} to ${TTL_MS_MAX}, got ${ttlMs}`, {
        limit: `${TTL_MS_MAX} ms`,
      });
    }
    const member = create(MemberSchema, {
      ...checkMember(given, site),
      site,
      joinedMs: BigInt(clock.now()),
    });
    const lease = await kv.grantLease(ttlMs);
    const info: LeaseInfo = { memberId: member.id, ttlMs: lease.ttlMs };
    const result = await kv.transact({
      compare: [{ key: key('members', member.id), modRevision: 0 }],
      then: [
        put(key('members', member.id), toBinary(MemberSchema, member), lease.id),
        put(key('leases', lease.id), encodeText(JSON.stringify(info)), lease.id),
      ],
    });
    if (!result.applied) {
      await lease.revoke();
      throw new MeshError(
        'AlreadyExists',
        `member "${member.id}" is alive; leave first, wait for its lease to end, or take another id`,
        { field: 'member.id', retryAfterMs: 1000 },
      );
    }
    return { leaseId: lease.id, ttlMs: lease.ttlMs };
  }

  /** @param routingVersion version of the routing table the member routes by; 0: not told */
  async keepAlive(leaseId: string, routingVersion: bigint): Promise<number> {
    const { kv, state } = this.#parts;
    const { ttlMs, memberId } = await this.lease(leaseId);
    await kv.lease(leaseId, ttlMs).renew();
    const version = Number(routingVersion);
    const told = state.maps.applied.get(memberId)?.value ?? 0;
    if (version > told) {
      await kv.put(key('applied', memberId), encodeText(String(version)), { lease: leaseId });
    }
    return ttlMs;
  }

  /** Ends a lease with all that hangs on it; one that is gone is no error. */
  async leave(leaseId: string): Promise<void> {
    const info = await this.find(leaseId);
    if (info !== undefined) await this.#parts.kv.lease(leaseId, info.ttlMs).revoke();
  }

  /** Whose lease it is. Throws NotFound (LEASE_NOT_FOUND) when it is nobody's. */
  async lease(leaseId: string): Promise<LeaseInfo> {
    const info = await this.find(leaseId);
    if (info === undefined) throw leaseNotFound(leaseId);
    return info;
  }

  list(): Member[] {
    const { members } = this.#parts.state.maps;
    return [...members.values()].map(({ value }) => value);
  }

  /**
   * Whose lease it is, undefined when it is nobody's. This replica may lag behind the one that
   * granted it, so the store has the last word.
   */
  async find(leaseId: string): Promise<LeaseInfo | undefined> {
    if (!isName(leaseId)) throw invalid('lease_id', 'is not the id of a lease');
    const known = this.#parts.state.maps.leases.get(leaseId)?.value;
    if (known !== undefined) return known;
    const entry = await this.#parts.kv.get(key('leases', leaseId));
    return entry === undefined ? undefined : DECODE.leases(entry.value);
  }

  #gauge(): void {
    const { metrics, state } = this.#parts;
    const counts = new Map<string, number>();
    for (const { value } of state.maps.members.values()) {
      const kind = KIND_NAMES.get(value.kind) ?? 'unknown';
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
    }
    metrics.members.reset();
    for (const [kind, count] of counts) metrics.members.set({ kind }, count);
  }
}

const put = (at: string, value: Uint8Array, lease: string) =>
  ({ type: 'put', key: at, value, lease }) as const;

function checkMember(member: Member | undefined, site: string): Member {
  if (member === undefined) throw invalid('member', 'is missing');
  if (!isName(member.id)) {
    throw invalid('member.id', 'must be 1 to 128 letters, digits, "-", "_" or "."');
  }
  if (!KIND_NAMES.has(member.kind)) {
    throw invalid('member.kind', 'must name the kind of service');
  }
  if (member.site !== '' && member.site !== site) {
    throw invalid(
      'member.site',
      `"${member.site}" is another site; this is the registry of "${site}"`,
    );
  }
  for (const field of ['grpcAddress', 'httpAddress', 'version'] as const) {
    if (member[field].length > ADDRESS_LENGTH_MAX) {
      throw invalid(`member.${field}`, `is longer than ${ADDRESS_LENGTH_MAX} characters`, {
        limit: `${ADDRESS_LENGTH_MAX} characters`,
      });
    }
  }
  return member;
}
