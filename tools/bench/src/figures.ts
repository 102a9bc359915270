import type { Figure } from './figure.ts';
import { filterCesql, matchSubscriptions } from './figures/filters.ts';
import { memoryEmbedded, startEmbedded } from './figures/footprint.ts';
import { latencyJetStream, latencyTwoSites } from './figures/latency.ts';
import { catchupEmbedded, fanoutEmbedded, memoryBacklog } from './figures/scale.ts';
import {
  deliverEmbedded,
  deliverJetStream,
  publishEmbedded,
  publishHttp,
  publishJetStream,
} from './figures/throughput.ts';

/** All figures, in the order in which they are listed and run. */
export const FIGURES: readonly Figure[] = [
  publishEmbedded,
  publishJetStream,
  deliverEmbedded,
  deliverJetStream,
  fanoutEmbedded,
  catchupEmbedded,
  filterCesql,
  matchSubscriptions,
  latencyTwoSites,
  latencyJetStream,
  publishHttp,
  startEmbedded,
  memoryEmbedded,
  memoryBacklog,
];
