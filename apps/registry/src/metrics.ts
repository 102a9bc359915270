import { counter, gauge, queueGauge } from '@eventmesh/telemetry';

/** What the registry counts, by state transition. */
export const REGISTRY_METRICS = {
  members: gauge('eventmesh_registry_members', 'Live members by kind.', ['kind']),
  memberChanges: counter('eventmesh_registry_member_changes_total', 'Members joined and left.', [
    'change',
  ]),
  subscriptions: gauge('eventmesh_registry_subscriptions', 'Subscriptions of the site.'),
  subscriptionChanges: counter(
    'eventmesh_registry_subscription_changes_total',
    'Subscriptions put and deleted, expired ephemeral ones among the latter.',
    ['change'],
  ),
  ownership: counter(
    'eventmesh_registry_ownership_total',
    'Attempts to take ownership, by outcome: acquired, resumed after the lease had ended, kept, refused; released ones; and names whose epoch was dropped, since they had no owner for long.',
    ['outcome'],
  ),
  interestFilters: gauge(
    'eventmesh_registry_interest_filters',
    'Topic filters in the aggregated interest that the site advertises.',
  ),
  interestVersion: gauge('eventmesh_registry_interest_version', 'Version of that interest.'),
  advertised: counter(
    'eventmesh_registry_advertised_total',
    'Own advertisements written, by reason: interest, links, other, outbid.',
    ['reason'],
  ),
  advertisements: counter(
    'eventmesh_registry_advertisements_received_total',
    'Advertisements from neighbours: accepted, stale, refused.',
    ['result'],
  ),
  acknowledgements: counter(
    'eventmesh_registry_acknowledgements_received_total',
    'Acknowledgements from neighbours: accepted, stale, refused.',
    ['result'],
  ),
  linkUp: gauge(
    'eventmesh_registry_neighbour_up',
    '1 while this process exchanges link state with the neighbour.',
    ['neighbour'],
  ),
  exchanges: counter(
    'eventmesh_registry_exchanges_total',
    'Exchange streams by what became of them: opened, closed, failed, refused.',
    ['neighbour', 'direction', 'outcome'],
  ),
  sites: gauge('eventmesh_registry_sites', 'Sites in the link-state database, this one included.'),
  routes: gauge('eventmesh_registry_routes', 'Sites that can be reached.'),
  routingChanges: counter(
    'eventmesh_registry_routing_changes_total',
    'Times that routes or remote interest changed.',
  ),
  watches: gauge('eventmesh_registry_watches', 'Watch streams that are open.'),
  watchBehind: queueGauge(
    'eventmesh_registry_watch_behind',
    'Changes that the slowest watch stream has yet to be told.',
  ),
  exchangeWaiting: queueGauge(
    'eventmesh_registry_exchange_waiting',
    'Messages that wait for the slowest neighbour to read them.',
  ),
  unwritten: queueGauge(
    'eventmesh_registry_link_state_unwritten',
    'Sites whose newer advertisement waits to be written into the control state.',
  ),
  snapshots: counter(
    'eventmesh_registry_watch_starts_total',
    'Watch streams by how they began or went on: snapshot, resumed, overrun.',
    ['how'],
  ),
  storeErrors: counter(
    'eventmesh_registry_store_errors_total',
    'Failures of the control state that the registry survived.',
  ),
} as const;
