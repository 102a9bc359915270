import type { Figure } from './figure.ts';
import { memoryEmbedded, startEmbedded } from './figures/footprint.ts';
import { latencyTwoSites } from './figures/latency.ts';
import {
  deliverEmbedded,
  publishEmbedded,
  publishHttp,
  publishJetStream,
} from './figures/throughput.ts';

/** All figures, in the order in which they are listed and run. */
export const FIGURES: readonly Figure[] = [
  publishEmbedded,
  publishJetStream,
  deliverEmbedded,
  latencyTwoSites,
  publishHttp,
  startEmbedded,
  memoryEmbedded,
];
