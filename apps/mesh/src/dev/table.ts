import { tableText } from '../cli/output.ts';
import type { LinkBooks, SiteSnapshot } from './snapshot.ts';

/** The live table: a row for each site and protocol, then one for each link. */
export function meshTable(sites: readonly SiteSnapshot[]): string {
  const rows = sites.flatMap((site) => [
    { site: site.answers ? site.site : `${site.site} (away)`, protocol: 'all', ...books(site) },
    ...site.protocols.map((protocol) => ({ site: '', ...protocol })),
  ]);
  const links = sites.flatMap((site) => site.links.map((link) => ({ from: site.site, ...link })));
  const traffic = tableText<TrafficRow>(rows, {
    SITE: ({ site }) => site,
    PROTOCOL: ({ protocol }) => protocol,
    ACCEPTED: ({ accepted }) => accepted,
    DELIVERED: ({ delivered }) => delivered,
    FILTERED: (row) => row.filtered,
    HELD: (row) => row.held,
    'DEAD-LETTERED': (row) => row.deadLettered,
  });
  const linkTable = tableText<LinkBooks & { from: string }>(links, {
    LINK: ({ from, to }) => `${from} → ${to}`,
    STATE: ({ up }) => (up ? 'up' : 'down'),
    SENT: ({ sent }) => sent,
    ACCEPTED: ({ accepted }) => accepted,
    'ON ITS WAY': ({ unacceptedBytes }) => `${unacceptedBytes} B`,
  });
  return links.length === 0 ? traffic : `${traffic}\n\n${linkTable}`;
}

interface TrafficRow {
  readonly site: string;
  readonly protocol: string;
  readonly accepted: number;
  readonly delivered: number;
  readonly filtered?: number;
  readonly held?: number;
  readonly deadLettered?: number;
}

const books = ({ accepted, delivered, filtered, held, deadLettered }: SiteSnapshot) => ({
  accepted,
  delivered,
  filtered,
  held,
  deadLettered,
});

/** One line for output that is no terminal. */
export function meshLine(sites: readonly SiteSnapshot[], time: Date): string {
  const parts = sites.map(({ site, answers, accepted, delivered, filtered, held, deadLettered }) =>
    answers
      ? `${site}: accepted ${accepted} delivered ${delivered} filtered ${filtered} ` +
        `held ${held} dead-lettered ${deadLettered}`
      : `${site}: does not answer`,
  );
  const links = sites.flatMap((site) =>
    site.links.map(({ to, up, accepted }) => `${site.site}→${to} ${up ? accepted : 'down'}`),
  );
  return `${time.toISOString().slice(11, 19)}  ${[...parts, ...links].join(' | ')}`;
}
