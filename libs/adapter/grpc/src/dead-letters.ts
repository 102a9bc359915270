import type {
  DeadLetter,
  DeadLetterSelection,
  MeshPort,
  PurgeResult,
  RedriveResult,
} from '@eventmesh/adapter-api';
import type { DeadLetterService, Selection } from '@eventmesh/proto-gen/deadletter';
import type { CallContext, ServiceImpl } from '@eventmesh/rpc';
import { paged, pageRequest } from './page-request.ts';
import { sessionOf } from './session-of.ts';

/** The workbench of dead letters. */
export function deadLettersService(port: MeshPort): ServiceImpl<typeof DeadLetterService> {
  const session = (ctx: Pick<CallContext, 'metadata'>) => sessionOf(port, ctx);
  const { deadLetters } = port;
  return {
    async list({ selection, ...page }, ctx) {
      const chosen = fromSelection(selection);
      const listing = deadLetters.list(await session(ctx), chosen, pageRequest(page));
      const { items, nextToken } = await paged(listing);
      return { deadLetters: items.map(toWire), nextPageToken: nextToken };
    },
    async get({ id }, ctx) {
      return { deadLetter: toWire(await deadLetters.get(await session(ctx), Number(id))) };
    },
    async groups({ selection }, ctx) {
      const groups = await deadLetters.groups(await session(ctx), fromSelection(selection));
      return {
        groups: groups.map(({ subscription, subscriptionGone, cause, ...counts }) => ({
          subscription,
          subscriptionGone,
          cause,
          count: BigInt(counts.count),
          bytes: BigInt(counts.bytes),
          oldestMs: BigInt(counts.oldestMs),
          newestMs: BigInt(counts.newestMs),
        })),
      };
    },
    async status(_, ctx) {
      const status = await deadLetters.status(await session(ctx));
      return {
        count: BigInt(status.count),
        bytes: BigInt(status.bytes),
        bytesMax: BigInt(status.bytesMax),
        full: status.full,
        oldestMs: BigInt(status.oldestMs),
        alarmBytes: BigInt(status.alarmBytes),
        alarm: status.alarm,
        retentionMs: BigInt(status.retentionMs),
      };
    },
    async redrive({ selection, rateMax, pageToken: token }, { signal, deadlineMs, ...ctx }) {
      const caller = await session(ctx);
      const options = { rateMax, token, signal, deadlineMs };
      const done = deadLetters.redrive(caller, fromSelection(selection), options);
      return fromRedrive(await paged(done));
    },
    async purge({ selection, pageToken: token }, { signal, deadlineMs, ...ctx }) {
      const caller = await session(ctx);
      const options = { token, signal, deadlineMs };
      return fromPurge(await paged(deadLetters.purge(caller, fromSelection(selection), options)));
    },
  };
}

export const fromRedrive = (result: RedriveResult) => ({
  redriven: BigInt(result.redriven),
  missing: BigInt(result.missing),
  unmatched: BigInt(result.unmatched),
  forbidden: BigInt(result.forbidden),
  nextPageToken: result.nextToken,
});

export const fromPurge = ({ purged, nextToken }: PurgeResult) => ({
  purged: BigInt(purged),
  nextPageToken: nextToken,
});

/** What proto leaves empty was not given. */
export function fromSelection(selection: Selection | undefined): DeadLetterSelection {
  const { subscription = '', cause = '', ids = [], all = false } = selection ?? {};
  return {
    ...(subscription === '' ? {} : { subscription }),
    ...(cause === '' ? {} : { cause }),
    ...(ids.length === 0 ? {} : { ids: ids.map(Number) }),
    ...(all ? { all } : {}),
  };
}

function toWire(letter: DeadLetter) {
  return {
    ...letter,
    id: BigInt(letter.id),
    subscriptionCreatedMs: BigInt(letter.subscriptionCreatedMs),
    deadMs: BigInt(letter.deadMs),
    position: BigInt(letter.position),
    policyRevision: BigInt(letter.policyRevision),
    event: new Uint8Array(letter.event),
  };
}
