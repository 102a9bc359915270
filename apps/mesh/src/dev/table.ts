import { tableText } from '../cli/output.ts';
import type { LinkBooks, ProtocolBooks, SiteSnapshot } from './snapshot.ts';

/** The live table: a row for each site and protocol, then one for each link. */
export function meshTable(sites: readonly SiteSnapshot[]): string {
  const rows = sites.flatMap((site) => [
    { ...site, site: site.answers ? site.site : `${site.site} (away)`, protocol: 'all' },
    ...site.protocols.map((protocol) => ({ site: '', ...protocol })),
  ]);
  const links = sites.flatMap((site) => site.links.map((link) => ({ from: site.site, ...link })));
  const traffic = tableText<ProtocolBooks & { site: string }>(rows, {
    SITE: ({ site }) => site,
    PROTOCOL: ({ protocol }) => protocol,
    ACCEPTED: ({ accepted }) => accepted,
    DELIVERED: ({ delivered }) => delivered,
    FILTERED: ({ filtered }) => filtered,
    HELD: ({ held }) => held,
    'DEAD-LETTERED': ({ deadLettered }) => deadLettered,
  });
  const linkTable = tableText<LinkBooks & { from: string }>(links, {
    LINK: ({ from, to }) => `${from} → ${to}`,
    STATE: ({ up }) => (up ? 'up' : 'down'),
    ACCEPTED: ({ accepted }) => accepted,
    DELIVERED: ({ delivered }) => delivered,
    FILTERED: ({ filtered }) => filtered,
    HELD: ({ held }) => held,
    'DEAD-LETTERED': ({ deadLettered }) => deadLettered,
  });
  return links.length === 0 ? traffic : `${traffic}\n\n${linkTable}`;
}

/** One line for output that is no terminal. */
export function meshLine(sites: readonly SiteSnapshot[], time: Date): string {
  const parts = sites.map(({ site, answers, accepted, delivered, filtered, held, deadLettered }) =>
    answers
      ? `${site}: accepted ${accepted} delivered ${delivered} filtered ${filtered} ` +
        `held ${held} dead-lettered ${deadLettered}`
      : `${site}: does not answer`,
  );
  const links = sites.flatMap((site) =>
    site.links.map(({ to, up, delivered, held }) => {
      const waiting = held === 0 ? '' : ` (${held} held)`;
      return `${site.site}→${to} ${up ? '' : 'down '}${delivered}${waiting}`;
    }),
  );
  return `${time.toISOString().slice(11, 19)}  ${[...parts, ...links].join(' | ')}`;
}
