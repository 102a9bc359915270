import { create, toBinary } from '@bufbuild/protobuf';
import type { MeshError } from '@eventmesh/errors';
import {
  AcknowledgementSchema,
  AcknowledgementsSchema,
  Member_Kind,
  type Acknowledgement,
} from '@eventmesh/proto-gen/registry';
import { Background } from './background.ts';
import { key } from './keys.ts';
import type { Parts } from './parts.ts';
import { mergeAcknowledgements } from './versions.ts';

/** Since which revision of the control state a site's present interest has been known. */
interface Known {
  readonly epoch: bigint;
  readonly interestVersion: bigint;
  readonly revision: number;
}

/**
 * Says which interest of other sites this site has taken in. That means more than having stored it:
 * every live emesher here routes by it. Only then does convergence promise that an event published
 * here from now on reaches the subscription.
 */
export class Acknowledger {
  readonly #parts: Parts;
  readonly #known = new Map<string, Known>();
  readonly #work: Background;

  constructor(parts: Parts, onError: (error: MeshError) => void) {
    this.#parts = parts;
    this.#work = new Background(() => this.#sync(), parts.clock, onError);
    parts.state.onChange((changes, revision) => {
      for (const change of changes) {
        if (change.area !== 'advertisements' || change.current === undefined) continue;
        const { epoch, interestVersion } = change.current;
        const known = this.#known.get(change.key);
        if (known?.epoch === epoch && known.interestVersion === interestVersion) continue;
        this.#known.set(change.key, { epoch, interestVersion, revision });
      }
      if (changes.some(({ area }) => RELEVANT.has(area))) this.#work.poke();
    });
  }

  close(): Promise<void> {
    return this.#work.close();
  }

  async #sync(): Promise<void> {
    const { kv, state, site } = this.#parts;
    const stored = state.maps.acknowledgements.get(site);
    const merged = mergeAcknowledgements(site, stored?.value, this.#due());
    if (merged === undefined) return;
    const result = await kv.put(
      key('acknowledgements', site),
      toBinary(AcknowledgementsSchema, merged),
      { ifRevision: stored?.modRevision ?? 0 },
    );
    await state.reached(result.applied ? result.revision : (result.current?.modRevision ?? 1));
    // A lost race: another replica has written; its change runs this again.
  }

  #due(): Acknowledgement[] {
    const { site } = this.#parts;
    const routedBy = this.#routedBy();
    const due: Acknowledgement[] = [];
    for (const [ofSite, { epoch, interestVersion, revision }] of this.#known) {
      if (ofSite === site || routedBy < revision) continue;
      due.push(create(AcknowledgementSchema, { site, ofSite, epoch, interestVersion }));
    }
    return due;
  }

  /** The oldest routing table that a live emesher of this site still routes by. */
  #routedBy(): number {
    const { members, applied } = this.#parts.state.maps;
    let oldest = Infinity;
    for (const [id, { value }] of members) {
      if (value.kind !== Member_Kind.EMESHER) continue;
      oldest = Math.min(oldest, applied.get(id)?.value ?? 0);
    }
    return oldest;
  }
}

const RELEVANT = new Set(['advertisements', 'acknowledgements', 'members', 'applied']);
