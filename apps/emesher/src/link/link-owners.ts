import { MeshError } from '@eventmesh/errors';

/** An emesher of a neighbouring site that sends on the link to here. */
export interface LinkOwner {
  /** Of its ownership; 0: its version does not tell, and it is not fenced. */
  readonly epoch: number;
  readonly member: string;
  /** Takes nothing more of it. */
  readonly fence: (error: MeshError) => void;
}

/**
 * Who has the sending half of each link to here, as far as this process knows. A newer owner ends what
 * an older one, such as one that was paused, still has open. What other emeshers of this site know is
 * in the store, with the marks. Bounded by the neighbours.
 */
export class LinkOwners {
  readonly #owners = new Map<string, LinkOwner>();

  /** Fences the owner known before, or this one when another one owns the link by now. */
  enter(site: string, owner: LinkOwner): void {
    if (owner.epoch === 0) return;
    const known = this.#owners.get(site);
    if (known !== undefined) {
      const other = known.member !== owner.member;
      if (owner.epoch < known.epoch || (owner.epoch === known.epoch && other)) {
        owner.fence(linkFenced(site, known.epoch));
        return;
      }
      known.fence(linkFenced(site, owner.epoch));
    }
    this.#owners.set(site, owner);
  }
}

/** @param epoch The greatest one known. */
export const linkFenced = (site: string, epoch: number): MeshError =>
  new MeshError(
    'Aborted',
    `another emesher of site "${site}", of epoch ${epoch}, owns the link by now; ask the registry`,
    { field: 'hello.epoch', reason: LINK_FENCED, facts: { epoch: String(epoch) } },
  );

const LINK_FENCED = 'LINK_FENCED';

export const isLinkFenced = (error: unknown): error is MeshError =>
  error instanceof MeshError && error.reason === LINK_FENCED;
