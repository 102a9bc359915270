import { Option, type Command } from 'commander';
import type { SubscriptionInput } from '@eventmesh/sdk';
import { durationMs, whole } from '../cli/cli.ts';

/** Options by which a subscription says how its deliveries are made and made again. */
export interface DeliveryOptions {
  readonly retry?: NonNullable<SubscriptionInput['retry']>['kind'];
  readonly retryDelay?: number;
  readonly retryDelayMax?: number;
  readonly retryDelays?: readonly number[];
  readonly attempts?: number;
  readonly maxAge?: number;
  readonly ackTimeout?: number;
  readonly inFlight?: number;
  readonly deadLetter?: boolean;
  readonly deadLetterExpired?: boolean;
}

export const deliveryOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--retry <kind>', 'how a failed delivery comes again').choices([
        'none',
        'linear',
        'exponential',
        'list',
      ]),
    )
    .option('--retry-delay <time>', 'first delay, such as 1s', durationMs)
    .option('--retry-delay-max <time>', 'longest delay', durationMs)
    .option('--retry-delays <times>', 'for list: the delays one after the other, 1s,10s,1m', times)
    .option('--attempts <n>', 'failures until it is a dead letter', whole(1, 1000))
    .option('--max-age <time>', 'older than this it is not tried again', durationMs)
    .option('--ack-timeout <time>', 'time to settle a delivery', durationMs)
    .option('--in-flight <n>', 'deliveries in flight over all consumers', whole(1, 65_536))
    .option('--dead-letter', 'keep what cannot be delivered as a dead letter, as by default')
    .option('--no-dead-letter', 'drop what cannot be delivered, counted')
    .option('--dead-letter-expired', 'keep what expired before it was delivered, too')
    .option('--no-dead-letter-expired', 'count what expired and no more, as by default');

const times = (text: string): readonly number[] => text.split(',').map(durationMs);

/** What was given of them, over what a subscription has already. */
export function withDelivery(
  input: SubscriptionInput,
  options: DeliveryOptions,
): SubscriptionInput {
  const retry = {
    ...input.retry,
    ...given('kind', options.retry),
    ...given('delayMs', options.retryDelay),
    ...given('delayMaxMs', options.retryDelayMax),
    ...given('delaysMs', options.retryDelays),
    ...given('attemptsMax', options.attempts),
    ...given('ageMaxMs', options.maxAge),
  };
  return {
    ...input,
    retry,
    ...given('ackTimeoutMs', options.ackTimeout),
    ...given('inFlightMax', options.inFlight),
    ...given('deadLetter', options.deadLetter),
    ...given('deadLetterExpired', options.deadLetterExpired),
  };
}

const given = <K extends string, V>(name: K, value: V | undefined): { readonly [P in K]?: V } =>
  value === undefined ? {} : ({ [name]: value } as { readonly [P in K]?: V });
