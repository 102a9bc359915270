/** Defects, in the words of Jepsen's queue tests and ours; each count must be zero. */
export const DEFECTS = [
  /** Acknowledged, wanted, and never seen nor accounted for. */
  'lost',
  /** Delivered again although nothing explains a redelivery. */
  'duplicated',
  /** A first delivery that jumped back behind a later one of its producer, topic and key. */
  'reordered',
  /** Received and never sent, or refused when it was sent. */
  'phantom',
  /** Hash, topic or key differ from what was sent. */
  'corrupted',
  /** Delivered to another tenant, or to somebody without the right. */
  'leaked',
  /** Delivered to a subscription that does not want it. */
  'misrouted',
] as const;

export type Defect = (typeof DEFECTS)[number];

/** One case of a defect. */
export interface Finding {
  /** Time of the line that showed it. */
  readonly t: number;
  readonly sub: string;
  readonly id: string;
  readonly detail: string;
}

export interface DefectReport {
  readonly count: number;
  /** The first ones, at most 10. */
  readonly findings: readonly Finding[];
  readonly lastT: number | undefined;
}

/** The books of one subscription: acked = delivered + accounted + filtered + lost. */
export interface SubscriptionReport {
  readonly sub: string;
  /** Acknowledged while it existed, in its tenant. */
  readonly acked: number;
  /** Of these: wanted and received. */
  readonly delivered: number;
  /** Of these: wanted, not received, and in the system's books (or the class is direct). */
  readonly accounted: number;
  /** Of these: not wanted. */
  readonly filtered: number;
  readonly lost: number;
  /** Received although the outcome of the send was unknown. */
  readonly recovered: number;
  /** Repeats that a release, an expired settlement or a detached consumer explains. */
  readonly redelivered: number;
}

export interface CheckReport extends Readonly<Record<Defect, DefectReport>> {
  readonly verdict: 'pass' | 'fail';
  readonly lines: number;
  readonly sent: number;
  readonly acked: number;
  readonly failed: number;
  /** Sends whose outcome is not known, resolved by no resend. */
  readonly unknown: number;
  readonly recovered: number;
  readonly redelivered: number;
  readonly subscriptions: readonly SubscriptionReport[];
}

/** The report for people: the verdict, a line for each subscription, the findings. */
export function reportText(report: CheckReport): string {
  const { sent, acked, failed, unknown, recovered, redelivered } = report;
  const out = [
    `${report.verdict}: ${report.lines} lines, ${sent} sent, ${acked} acknowledged, ` +
      `${failed} refused, ${unknown} unknown, ${recovered} recovered, ${redelivered} redelivered`,
  ];
  for (const sub of report.subscriptions) {
    out.push(
      `  ${sub.sub}: acked ${sub.acked} = delivered ${sub.delivered} + filtered ${sub.filtered}` +
        ` + accounted ${sub.accounted} + lost ${sub.lost}`,
    );
  }
  for (const defect of DEFECTS) {
    const { count, findings } = report[defect];
    if (count === 0) continue;
    out.push(`${defect}: ${count}`);
    for (const { t, sub, id, detail } of findings) {
      out.push(`  at ${t.toFixed(1)} ${sub} ${id}: ${detail}`);
    }
  }
  return `${out.join('\n')}\n`;
}
