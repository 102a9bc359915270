import { integer, size } from '@eventmesh/config';
import { RETRY_WINDOW } from '@eventmesh/delivery';

/** Bounds of what waits on the way to consumers; part of the delivery section. */
export const deliveryQueues = {
  directFanOutMax: integer(
    'Direct events waiting for another emesher of the site; beyond it the oldest is dropped.',
    { min: 1, max: 1_000_000, default: 4096 },
  ),
  readAheadBytes: size(
    'Bytes that the store may read ahead of one reader of a partition; the store-gateway may allow less.',
    { default: '4MiB', min: '64KiB', max: '64MiB' },
  ),
  consumerBytesMax: size(
    'Bytes of deliveries that wait for one gRPC consumer to read them; more of its credit is used as it reads.',
    { default: '8MiB', min: '64KiB', max: '1GiB' },
  ),
  consumerMessagesMax: integer(
    'Gaps and refused settles that wait for one gRPC consumer to read them; beyond it its stream is ended.',
    { min: 16, max: 1_000_000, default: 65_536 },
  ),
  relayRequestsMax: integer(
    'Credit and settles of one consumer that wait for the emesher that owns its subscription; beyond it that one counts as gone.',
    { min: 16, max: 1_000_000, default: 65_536 },
  ),
  broadcastConsumersMax: integer(
    'Consumers that a broadcast subscription knows, those that are away among them; more are refused.',
    { min: 1, max: 100_000, default: 1000 },
  ),
} as const;

/** Bounds of what is remembered of unsettled events; part of the delivery section. */
export const progressBounds = {
  parkedKeysMax: integer(
    'Keys of one subscription of which events wait in the store behind a stuck one, so that other keys go on; beyond it reading stops for all of them. 0: it stops at once.',
    { min: 0, max: 20_000, default: 10_000 },
  ),
  cursorBytesMax: size(
    'Bytes that the progress of one subscription in one partition takes in the store, from which on its reading stops until some events are settled.',
    { default: '512KiB', min: '16KiB', max: '640KiB' },
  ),
  retryWindow: integer(
    'Failures of one subscription in a row, without a success, that count as an outage; then no more than so many events that have failed are out at a time, in equal shares among the consumers, one more after each success and one less after each failure. First deliveries are not held back. At or above inFlightMax of a subscription nothing is.',
    { min: 1, max: 65_536, default: RETRY_WINDOW },
  ),
} as const;
