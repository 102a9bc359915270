/** One partition of a tenant's log. */
export interface Lane {
  readonly tenant: string;
  readonly partition: number;
}

/** Numbers for the partitions of the tenants' logs; as many as there are, for good. */
export class Lanes {
  readonly #lanes: Lane[] = [];
  /** By tenant: the number of each partition. */
  readonly #numbers = new Map<string, (number | undefined)[]>();

  of(tenant: string, partition: number): number {
    let own = this.#numbers.get(tenant);
    if (own === undefined) this.#numbers.set(tenant, (own = []));
    const known = own[partition];
    if (known !== undefined) return known;
    const number = this.#lanes.push({ tenant, partition }) - 1;
    own[partition] = number;
    return number;
  }

  /** Undefined when nothing was ever noted of it. */
  find(tenant: string, partition: number): number | undefined {
    return this.#numbers.get(tenant)?.[partition];
  }

  at(number: number): Lane | undefined {
    return this.#lanes[number];
  }
}
