export { TopicTrie } from './topic-trie.ts';
export { MatchTable } from './match-table.ts';
export {
  InterestTable,
  type InterestEntry,
  type InterestTableOptions,
  type SiteInterestEntries,
} from './interest-table.ts';
export { computeRoutes, type ComputedRoute, type LinkReport, type SiteLinks } from './routes.ts';
export { aggregateInterest } from './aggregate-interest.ts';
