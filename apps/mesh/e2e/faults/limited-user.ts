import { expect } from '@jest/globals';
import { GovernanceService, type AuditEntry } from '@eventmesh/proto-gen/governance';
import { createClient, grpcTransport } from '@eventmesh/rpc';
import { eventually } from '@eventmesh/testing';
import type { FaultMesh } from './fault-mesh.ts';
import { RECOVERY_MS } from './judge.ts';

const SITE = 'east';
const USER = 'admin';
/** As the audit has it. */
const AUDITED = `default/user:${USER}`;
const REFUSED = { code: 'ResourceExhausted', details: { reason: 'QUOTA' } };

/** A user with as many subscriptions as it may have, whose further ones are refused and audited. */
export class LimitedUser {
  readonly #mesh: FaultMesh;
  /** Each name is asked for once. */
  readonly #refused: string[] = [];
  #own: string[] = [];
  #names = 0;

  constructor(mesh: FaultMesh) {
    this.#mesh = mesh;
  }

  /** Sets the quota, waits until the emesher has it, and uses it up. */
  async upTo(subscriptionsMax: number): Promise<void> {
    const quota = {
      tenant: 'default',
      principal: USER,
      subscriptionsMax: BigInt(subscriptionsMax),
    };
    // Governance may still be about to dial an acl that was away.
    await eventually(() => this.#governance((client) => client.putQuota({ quota })), {
      timeoutMs: RECOVERY_MS,
    });
    for (let n = 0; n < subscriptionsMax; n++) await this.#create();
    await eventually(
      async () => {
        const name = this.#name();
        // Until the quota has got there it is one too many, and is deleted again.
        const taken = await this.#try(name).then(
          () => true,
          () => false,
        );
        if (taken) await this.#delete(name);
        else this.#refused.push(name);
        expect(taken).toBe(false);
      },
      { timeoutMs: RECOVERY_MS },
    );
  }

  /** Asks for this many more subscriptions, each of which is refused. */
  async refused(count: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      const name = this.#name();
      await expect(this.#try(name)).rejects.toMatchObject(REFUSED);
      this.#refused.push(name);
    }
  }

  /** One that is deleted makes room for one more, which is taken, and for no second one. */
  async replacesOne(): Promise<void> {
    const name = this.#own.shift();
    if (name === undefined) throw new Error('there is no subscription to delete');
    await this.#delete(name);
    await eventually(() => this.#create());
    await this.refused(1);
  }

  /** The audit has each refusal once and holds; the quota lets in what it did, and no more. */
  async isExact(): Promise<void> {
    await eventually(
      async () => {
        const entries = await this.#audit();
        const told = entries.filter(
          ({ principal, action, outcome }) =>
            principal === AUDITED && action === 'subscribe' && outcome === 'refused',
        );
        expect(told.map(({ resource }) => resource).sort()).toEqual([...this.#refused].sort());
        expect(told.filter(({ count }) => count !== 1n)).toEqual([]);
      },
      { timeoutMs: RECOVERY_MS },
    );
    expect(await this.#governance((client) => client.verifyAudit({}))).toMatchObject({
      intact: true,
    });
    await this.replacesOne();
    for (const name of this.#own) await this.#delete(name);
    await this.#governance((client) => client.deleteQuota({ tenant: 'default', principal: USER }));
  }

  #name(): string {
    return `limited-${++this.#names}`;
  }

  async #create(): Promise<void> {
    const name = this.#name();
    await this.#try(name);
    this.#own.push(name);
  }

  async #try(name: string): Promise<void> {
    const client = this.#mesh.client(SITE, USER);
    try {
      const subscription = { name, topicFilters: ['limited/#'] };
      await client.subscriptions.createSubscription({ subscription });
    } finally {
      client.close();
    }
  }

  async #delete(name: string): Promise<void> {
    const client = this.#mesh.client(SITE, USER);
    try {
      await client.subscriptions.deleteSubscription({ name });
    } finally {
      client.close();
    }
  }

  async #audit(): Promise<AuditEntry[]> {
    const all: AuditEntry[] = [];
    for (;;) {
      const afterSequence = all.at(-1)?.sequence ?? 0n;
      const { entries } = await this.#governance((client) =>
        client.listAudit({ tenant: 'default', afterSequence, pageSize: 1000 }),
      );
      if (entries.length === 0) return all;
      all.push(...entries);
    }
  }

  async #governance<T>(call: (client: ReturnType<typeof clientOf>) => Promise<T>): Promise<T> {
    const pair = `${USER}:${this.#mesh.identity.users[USER] ?? ''}`;
    const authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
    const address = this.#mesh.grpc(SITE, 'governance');
    const transport = grpcTransport({ address, metadata: () => ({ authorization }) });
    try {
      return await call(clientOf(transport));
    } finally {
      transport.close();
    }
  }
}

const clientOf = (transport: ReturnType<typeof grpcTransport>) =>
  createClient(GovernanceService, transport);
