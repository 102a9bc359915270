import { create } from '@bufbuild/protobuf';
import {
  AcknowledgementSchema,
  AcknowledgementsSchema,
  type Acknowledgement,
  type Acknowledgements,
} from '@eventmesh/proto-gen/registry';

/** Epoch of the site whose interest it is, then its version: later ones include earlier ones. */
export const includes = (
  ack: { readonly epoch: bigint; readonly interestVersion: bigint } | undefined,
  wanted: { readonly epoch: bigint; readonly interestVersion: bigint },
): boolean =>
  ack !== undefined &&
  (ack.epoch === wanted.epoch
    ? ack.interestVersion >= wanted.interestVersion
    : ack.epoch > wanted.epoch);

/** The later of each; undefined when `more` adds nothing. In order of `ofSite`. */
export function mergeAcknowledgements(
  site: string,
  known: Acknowledgements | undefined,
  more: Iterable<Acknowledgement>,
): Acknowledgements | undefined {
  const bySite = new Map((known?.acknowledgements ?? []).map((ack) => [ack.ofSite, ack]));
  let changed = false;
  for (const ack of more) {
    if (includes(bySite.get(ack.ofSite), ack)) continue;
    bySite.set(ack.ofSite, ack);
    changed = true;
  }
  if (!changed) return undefined;
  const acknowledgements = [...bySite.keys()].sort().map((ofSite) => {
    const { epoch, interestVersion } = bySite.get(ofSite) as Acknowledgement;
    return create(AcknowledgementSchema, { site, ofSite, epoch, interestVersion });
  });
  return create(AcknowledgementsSchema, { acknowledgements });
}
