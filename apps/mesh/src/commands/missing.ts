import type { WhyReport } from '@eventmesh/adapter-api';

/** Who should have had a part in an answer and had none. */
export type Missing = Pick<WhyReport, 'unreachableSites' | 'silentEmeshers'>;

/** What is not in an answer, for people. */
export function missingTexts({ unreachableSites, silentEmeshers }: Missing): string[] {
  return [
    ...unreachableSites.map((site) => `${site} should know more and cannot be reached`),
    ...silentEmeshers.map(
      ({ site, emesher, reason }) =>
        `emesher ${emesher} of ${site}: ${reason}; what it remembers and has refused is not, or not ` +
        'wholly, in this answer',
    ),
  ];
}

/** Who knows nothing: nobody at all, or nobody of those that have answered. */
export const nobody = ({ unreachableSites, silentEmeshers }: Missing): string =>
  unreachableSites.length + silentEmeshers.length === 0 ? 'no site' : 'nobody who has answered';
