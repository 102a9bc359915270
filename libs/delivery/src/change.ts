import {
  checkSubscription,
  type RetryPolicy,
  type SubscriptionInput,
  type SubscriptionSpec,
} from './subscription.ts';

/** What is to change of a subscription; what is left out stays as it is. */
export interface SubscriptionChange extends Omit<Partial<SubscriptionInput>, 'name' | 'retry'> {
  readonly name: string;
  /** Changed field by field. */
  readonly retry?: Partial<RetryPolicy>;
  /** Only while this is its revision. Left out, or 0: whatever it is. */
  readonly revision?: number;
}

/**
 * A spec as a change makes it. Where it starts does not change; that is moved by a seek.
 *
 * @throws MeshError InvalidArgument or Unimplemented that names the field and the limit.
 */
export function changedSpec(there: SubscriptionSpec, change: SubscriptionChange): SubscriptionSpec {
  const { revision: _, retry = {}, ...rest } = change;
  return checkSubscription({
    ...there,
    ...given(rest),
    retry: { ...there.retry, ...given(retry) },
    start: there.start,
  });
}

/** @returns the object without fields that are there and undefined */
const given = <T extends object>(fields: T): T =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
