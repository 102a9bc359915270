import type { MeshPort, SubscriptionWithStatus } from '@eventmesh/adapter-api';
import { checkStart } from '@eventmesh/delivery';
import { invalid } from '@eventmesh/errors';
import type { SubscriberService } from '@eventmesh/proto-gen/subscriber';
import type { CallContext, ServiceImpl } from '@eventmesh/rpc';
import { changeFromProto, startFromProto } from '@eventmesh/wire';
import { paged, pageRequest } from './page-request.ts';
import { fromPreview, fromReplayStatus, toReplayOptions } from './replay-wire.ts';
import { sessionOf } from './session-of.ts';
import { fromStatus, fromSubscription, toSubscriptionInput } from './subscription-wire.ts';

type Unary = Omit<ServiceImpl<typeof SubscriberService>, 'subscribe'>;

/** Durable subscriptions as resources. */
export function subscriptionsService(port: MeshPort): Unary {
  const session = (ctx: CallContext) => sessionOf(port, ctx);
  const withStatus = ({ subscription, status }: SubscriptionWithStatus) => ({
    subscription: fromSubscription(subscription),
    status: fromStatus(status),
  });
  const needed = <T>(field: string, given: T | undefined): T => {
    if (given === undefined) throw invalid(field, 'is missing');
    return given;
  };
  return {
    async createSubscription(request, ctx) {
      const input = toSubscriptionInput(needed('subscription', request.subscription));
      const caller = await session(ctx);
      const subscription = fromSubscription(await port.subscriptions.create(caller, input));
      const timeoutMs = Number(request.convergeMs);
      if (timeoutMs === 0) return { subscription };
      const { convergedSites, unreachableSites } = await port.subscriptions.converge(
        caller,
        timeoutMs,
      );
      return {
        subscription,
        convergedSites: [...convergedSites],
        unreachableSites: [...unreachableSites],
      };
    },
    async getSubscription({ name }, ctx) {
      return withStatus(await port.subscriptions.get(await session(ctx), name));
    },
    async listSubscriptions(request, ctx) {
      const caller = await session(ctx);
      const listing = port.subscriptions.list(caller, pageRequest(request));
      const { items, nextToken } = await paged(listing);
      return { subscriptions: items.map(withStatus), nextPageToken: nextToken };
    },
    async updateSubscription(request, ctx) {
      const given = needed('subscription', request.subscription);
      const change = changeFromProto(given, request.clearFilters);
      const updated = await port.subscriptions.update(await session(ctx), change);
      return { subscription: fromSubscription(updated) };
    },
    async pauseSubscription({ name, paused }, ctx) {
      const updated = await port.subscriptions.pause(await session(ctx), name, paused);
      return { subscription: fromSubscription(updated) };
    },
    async seekSubscription({ name, start }, ctx) {
      const to = checkStart(startFromProto(needed('start', start)));
      const updated = await port.subscriptions.seek(await session(ctx), name, to);
      return { subscription: fromSubscription(updated) };
    },
    async previewReplay({ name, replay }, ctx) {
      const options = toReplayOptions(needed('replay', replay));
      const caller = await session(ctx);
      return fromPreview(await port.replays.preview(caller, name, options, ctx.signal));
    },
    async listReplays({ name }, ctx) {
      const found = await port.replays.list(await session(ctx), name === '' ? undefined : name);
      return { replays: found.map(fromReplayStatus) };
    },
    async stopReplay({ id }, ctx) {
      await port.replays.stop(await session(ctx), id);
      return {};
    },
    async deleteSubscription({ name }, ctx) {
      await port.subscriptions.delete(await session(ctx), name);
      return {};
    },
  };
}
