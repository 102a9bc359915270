import { topicMatches } from '@eventmesh/event';
import type { HistoryLine, ReceiveLine, SendLine, SettleLine, SubscribeLine } from './history.ts';
import {
  DEFECTS,
  type CheckReport,
  type Defect,
  type DefectReport,
  type Finding,
  type SubscriptionReport,
} from './report.ts';

export interface CheckOptions {
  /** Unexplained repeats that still pass, such as faults × in-flight window. Default 0. */
  readonly duplicatesMax?: number;
}

interface Sent {
  readonly line: SendLine;
  /** Place in the history of the first send; orders the sends of a producer. */
  readonly ordinal: number;
  acked: boolean;
  failed: boolean;
  /** Once unknown, a resend may have stored it late: no order is promised any more. */
  unknown: boolean;
}

interface Seen {
  accepted: boolean;
  /** Given back, so that any repeat is explained. */
  returned: boolean;
}

interface Watched {
  readonly line: SubscribeLine;
  readonly from: number;
  until: number;
  readonly seen: Map<string, Seen>;
  readonly accounted: Set<string>;
  /** Greatest ordinal delivered, by producer, topic and key. */
  readonly heads: Map<string, number>;
  redelivered: number;
}

const FINDINGS_MAX = 10;

/**
 * Judges a history of sends and deliveries. Feed the lines in the order of their time; memory grows
 * with the number of events and deliveries.
 */
export class HistoryChecker {
  readonly #options: CheckOptions;
  readonly #sent = new Map<string, Sent>();
  readonly #subs = new Map<string, Watched>();
  readonly #defects = new Map<Defect, { count: number; findings: Finding[]; lastT?: number }>();
  #lines = 0;

  constructor(options: CheckOptions = {}) {
    this.#options = options;
    for (const defect of DEFECTS) this.#defects.set(defect, { count: 0, findings: [] });
  }

  add(line: HistoryLine): void {
    this.#lines++;
    switch (line.op) {
      case 'subscribe':
        this.#subscribe(line);
        break;
      case 'unsubscribe':
        this.#watched(line.sub).until = this.#lines;
        break;
      case 'detach':
        for (const seen of this.#watched(line.sub).seen.values()) seen.returned = true;
        break;
      case 'send':
        this.#send(line);
        break;
      case 'ok':
      case 'fail':
      case 'unknown':
        this.#sendEnd(line.op, line.id);
        break;
      case 'recv':
        this.#receive(line);
        break;
      case 'settle':
        this.#settle(line);
        break;
      case 'account':
        this.#watched(line.sub).accounted.add(line.id);
        break;
    }
  }

  /** The judgement over everything fed so far; feed on and ask again as you like. */
  report(): CheckReport {
    const subscriptions: SubscriptionReport[] = [];
    const lost: Finding[] = [];
    for (const watched of this.#subs.values()) subscriptions.push(this.#books(watched, lost));
    const sent = [...this.#sent.values()];
    const defects = {} as Record<Defect, DefectReport>;
    for (const [defect, { count, findings, lastT }] of this.#defects) {
      defects[defect] = { count, findings: [...findings], lastT };
    }
    defects.lost = {
      count: lost.length,
      findings: lost.slice(0, FINDINGS_MAX),
      lastT: lost.at(-1)?.t,
    };
    const failed = DEFECTS.some((defect) => {
      const allowed = defect === 'duplicated' ? (this.#options.duplicatesMax ?? 0) : 0;
      return defects[defect].count > allowed;
    });
    const total = (pick: (sub: SubscriptionReport) => number) =>
      subscriptions.reduce((sum, sub) => sum + pick(sub), 0);
    return {
      ...defects,
      verdict: failed ? 'fail' : 'pass',
      lines: this.#lines,
      sent: sent.length,
      acked: sent.filter(({ acked }) => acked).length,
      failed: sent.filter(({ failed: refused, acked, unknown }) => refused && !acked && !unknown)
        .length,
      unknown: sent.filter(({ acked, unknown }) => unknown && !acked).length,
      recovered: total((sub) => sub.recovered),
      redelivered: total((sub) => sub.redelivered),
      subscriptions,
    };
  }

  #subscribe(line: SubscribeLine): void {
    // The same name again is a consumer that came back; its books go on.
    if (this.#subs.has(line.sub)) return;
    this.#subs.set(line.sub, {
      line,
      from: this.#lines,
      until: Number.POSITIVE_INFINITY,
      seen: new Map(),
      accounted: new Set(),
      heads: new Map(),
      redelivered: 0,
    });
  }

  #send(line: SendLine): void {
    if (this.#sent.has(line.id)) return;
    const ordinal = this.#lines;
    this.#sent.set(line.id, { line, ordinal, acked: false, failed: false, unknown: false });
  }

  #sendEnd(op: 'ok' | 'fail' | 'unknown', id: string): void {
    const sent = this.#sent.get(id);
    if (sent === undefined) throw new Error(`the history ends a send that never began: ${id}`);
    if (op === 'ok') sent.acked = true;
    else if (op === 'fail') sent.failed = true;
    else sent.unknown = true;
  }

  #receive(line: ReceiveLine): void {
    const watched = this.#watched(line.sub);
    const sent = this.#sent.get(line.id);
    if (sent === undefined) {
      this.#found('phantom', line, 'received and never sent');
      return;
    }
    if (sent.failed && !sent.acked && !sent.unknown) {
      this.#found('phantom', line, 'received although its send was refused');
    }
    this.#compare(line, sent.line);
    this.#judgeRight(line, sent.line, watched);
    const before = watched.seen.get(line.id);
    if (before === undefined) {
      watched.seen.set(line.id, { accepted: false, returned: false });
      this.#judgeOrder(line, sent, watched);
    } else if (!before.accepted && (before.returned || line.attempt > 1)) {
      watched.redelivered++;
      before.returned = false;
    } else {
      const state = before.accepted ? 'accepted' : 'delivered';
      this.#found('duplicated', line, `attempt ${line.attempt} after it was ${state}`);
    }
  }

  #compare(line: ReceiveLine, sent: SendLine): void {
    if (line.hash !== sent.hash) {
      this.#found('corrupted', line, `hash ${line.hash}, sent as ${sent.hash}`);
    } else if (line.topic !== sent.topic) {
      this.#found('corrupted', line, `topic "${line.topic}", sent to "${sent.topic}"`);
    } else if ((line.key ?? '') !== (sent.key ?? '')) {
      this.#found('corrupted', line, `key "${line.key ?? ''}", sent as "${sent.key ?? ''}"`);
    }
  }

  #judgeRight(line: ReceiveLine, sent: SendLine, { line: sub }: Watched): void {
    const { grants } = sub;
    if (sent.tenant !== sub.tenant) {
      this.#found('leaked', line, `of tenant ${sent.tenant}, delivered to ${sub.tenant}`);
    } else if (grants !== undefined && !grants.some((grant) => topicMatches(grant, sent.topic))) {
      this.#found('leaked', line, `no right to "${sent.topic}"`);
    } else if (!wants(sub, sent)) {
      this.#found('misrouted', line, `"${sent.topic}" is not what the subscription wants`);
    }
  }

  #judgeOrder(line: ReceiveLine, sent: Sent, watched: Watched): void {
    const { producer, topic, key } = sent.line;
    if (key === undefined || sent.unknown) return;
    const lane = JSON.stringify([producer, topic, key]);
    const head = watched.heads.get(lane) ?? 0;
    if (sent.ordinal < head) {
      this.#found('reordered', line, `key ${key} had already got to a later event`);
    } else {
      watched.heads.set(lane, sent.ordinal);
    }
  }

  #settle(line: SettleLine): void {
    const seen = this.#watched(line.sub).seen.get(line.id);
    if (seen === undefined) return;
    if (line.outcome === 'accept') seen.accepted = true;
    else if (line.outcome === 'release' || line.outcome === 'unknown') seen.returned = true;
    else this.#watched(line.sub).accounted.add(line.id);
  }

  #books(watched: Watched, lost: Finding[]): SubscriptionReport {
    const { line: sub, seen, accounted, redelivered } = watched;
    const books = { acked: 0, delivered: 0, accounted: 0, filtered: 0, lost: 0, recovered: 0 };
    for (const { line, ordinal, acked, unknown } of this.#sent.values()) {
      if (line.tenant !== sub.tenant || ordinal < watched.from || ordinal > watched.until) continue;
      const received = seen.has(line.id);
      if (!acked) {
        if (unknown && received) books.recovered++;
        continue;
      }
      books.acked++;
      if (!wants(sub, line)) books.filtered++;
      else if (received) books.delivered++;
      else if (accounted.has(line.id)) books.accounted++;
      else if (sub.direct !== true) {
        books.lost++;
        const detail = `acknowledged on "${line.topic}" and never seen`;
        lost.push({ t: line.t, sub: sub.sub, id: line.id, detail });
      } else books.accounted++;
    }
    return { sub: sub.sub, ...books, redelivered };
  }

  #watched(sub: string): Watched {
    const watched = this.#subs.get(sub);
    if (watched === undefined) throw new Error(`the history uses "${sub}" before its subscribe`);
    return watched;
  }

  #found(defect: Defect, line: ReceiveLine, detail: string): void {
    const report = this.#defects.get(defect);
    if (report === undefined) return;
    report.count++;
    report.lastT = line.t;
    if (report.findings.length < FINDINGS_MAX) {
      report.findings.push({ t: line.t, sub: line.sub, id: line.id, detail });
    }
  }
}

function wants(sub: SubscribeLine, sent: SendLine): boolean {
  if (sent.wants !== undefined) return sent.wants.includes(sub.sub);
  return sub.topicFilters.some((filter) => topicMatches(filter, sent.topic));
}

/** Judges a whole history at once. */
export function checkHistory(
  lines: Iterable<HistoryLine>,
  options: CheckOptions = {},
): CheckReport {
  const checker = new HistoryChecker(options);
  for (const line of lines) checker.add(line);
  return checker.report();
}
