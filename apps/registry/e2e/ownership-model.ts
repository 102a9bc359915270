/** What is true of one name, by three sentences: the reference for the registry's answers. */
export class OwnershipModel {
  epoch = 0;
  owner: number | undefined;
  /** Who got the epoch and has not given it up. */
  #holder: number | undefined;

  acquire(member: number, resume: number): number | 'OWNED' | 'EPOCH_ENDED' {
    if (this.owner !== undefined && this.owner !== member) return 'OWNED';
    if (resume !== 0 && (resume !== this.epoch || this.#holder !== member)) return 'EPOCH_ENDED';
    if (this.owner === undefined && resume === 0) this.epoch++;
    this.owner = member;
    this.#holder = member;
    return this.epoch;
  }

  release(member: number): void {
    if (this.owner === member) this.owner = undefined;
    if (this.#holder === member) this.#holder = undefined;
  }

  lapse(member: number): void {
    if (this.owner === member) this.owner = undefined;
  }
}
