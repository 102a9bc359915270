import { START_FORMS } from '@eventmesh/delivery';
import { flag, schema, text } from './openapi.ts';

const tag = 'subscriptions';
const name = text('Name of the subscription.');

export const replaySchemas = {
  preview: schema(
    tag,
    'Preview a replay',
    'Counts the events and bytes that a replay lane would deliver, and tells of gaps. Reads the ' +
      'store, so it takes as long as the part is large. 429: too many lanes and previews at a time.',
    {
      params: { name },
      query: {
        from: text(`Where to begin: ${START_FORMS}. Default earliest.`),
        to: text('Up to events stored before this ISO 8601 time. Default: what is stored now.'),
        expired: flag('Count events whose life has ended among those delivered.'),
      },
    },
  ),
  list: schema(tag, 'List replay lanes', 'Those open at this site, at whichever emesher.', {
    query: { subscription: text('Of this subscription only.') },
  }),
  stop: schema(tag, 'Stop a replay lane', 'Its consumer is told. 404: no such lane here.', {
    params: { id: text('Id of the lane: replayId of its opened event.') },
  }),
} as const;
