import { integer, section, size } from '@eventmesh/config';

/** Bounds of what publishers have in flight; part of the data plane's configuration. */
export const publishConfig = section('Taking events from publishers.', {
  windowEvents: integer(
    'Events of one gRPC publish stream that may be unanswered; beyond it nothing more is read of it.',
    { min: 1, max: 1_000_000, default: 8192 },
  ),
  windowBytes: size('Bytes of them.', { default: '64MiB', min: '1MiB', max: '1GiB' }),
});
