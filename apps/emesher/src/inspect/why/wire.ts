import type { MessageInitShape } from '@bufbuild/protobuf';
import type { SilentEmesher, WhyQuery, WhyState } from '@eventmesh/adapter-api';
import type {
  SilentEmesher as WireSilent,
  WhyRequest,
  WhyRequestSchema,
  WhyResponse,
  WhyResponseSchema,
} from '@eventmesh/proto-gen/link';
import type { KnownCopy } from './answers.ts';
import type { WhyAround } from './why.ts';

export function toWire(
  tenant: string,
  { eventId, source = '', subscription = '' }: WhyQuery,
  visited: readonly string[],
  copies: readonly KnownCopy[],
): MessageInitShape<typeof WhyRequestSchema> {
  return {
    tenant,
    eventId,
    source,
    subscription,
    visited: [...visited],
    copies: copies.map(copyToWire),
  };
}

/** A neighbour's question. */
export function questionOf({ tenant, eventId, source, subscription, visited, copies }: WhyRequest) {
  const query: WhyQuery = {
    eventId,
    ...(source === '' ? {} : { source }),
    ...(subscription === '' ? {} : { subscription }),
  };
  return { tenant, query, visited, known: copies.map(copyFromWire) };
}

export function answerToWire(around: WhyAround): MessageInitShape<typeof WhyResponseSchema> {
  return {
    answers: around.answers.map((answer) => ({
      ...answer,
      position: BigInt(answer.position),
      timeUs: BigInt(answer.timeUs),
      nextMs: BigInt(answer.nextMs),
      policyRevision: BigInt(answer.policyRevision),
      policyRevisionNow: BigInt(answer.policyRevisionNow),
      grantsRevision: BigInt(answer.grantsRevision),
      grantsRevisionNow: BigInt(answer.grantsRevisionNow),
      grantsRevisionJudged: BigInt(answer.grantsRevisionJudged),
    })),
    searches: around.searches.map(({ site, partition, from, to, first }) => ({
      site,
      partition,
      from: BigInt(from),
      to: BigInt(to),
      first: BigInt(first),
    })),
    copies: around.copies.map(copyToWire),
    unreachableSites: [...around.unreachableSites],
    silentEmeshers: [...around.silentEmeshers],
  };
}

export function fromWire({
  answers,
  searches,
  copies,
  unreachableSites,
  silentEmeshers,
}: WhyResponse): WhyAround {
  return {
    answers: answers.map(({ $typeName: _, $unknown: __, ...answer }) => ({
      ...answer,
      state: answer.state as WhyState,
      position: Number(answer.position),
      timeUs: Number(answer.timeUs),
      nextMs: Number(answer.nextMs),
      policyRevision: Number(answer.policyRevision),
      policyRevisionNow: Number(answer.policyRevisionNow),
      grantsRevision: Number(answer.grantsRevision),
      grantsRevisionNow: Number(answer.grantsRevisionNow),
      grantsRevisionJudged: Number(answer.grantsRevisionJudged),
    })),
    searches: searches.map(({ site, partition, from, to, first }) => ({
      site,
      partition,
      from: Number(from),
      to: Number(to),
      first: Number(first),
    })),
    copies: copies.map(copyFromWire),
    unreachableSites,
    silentEmeshers: silentEmeshers.map(silentFromWire),
  };
}

export const silentFromWire = ({ site, emesher, reason }: WireSilent): SilentEmesher => ({
  site,
  emesher,
  reason,
});

const copyToWire = (copy: KnownCopy) => ({
  ...copy,
  destinations: [...copy.destinations],
  ingressTimeUs: BigInt(copy.ingressTimeUs),
});

const copyFromWire = ({
  source,
  topic,
  originSite,
  destinations,
  ingressTimeUs,
}: WhyRequest['copies'][number]): KnownCopy => ({
  source,
  topic,
  originSite,
  destinations,
  ingressTimeUs: Number(ingressTimeUs),
});
