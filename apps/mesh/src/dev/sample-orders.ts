/** A made-up order event of the sample traffic. */
export interface SampleOrder {
  readonly topic: string;
  readonly type: string;
  readonly key: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const REGIONS = ['eu', 'us'];
const STEPS = ['created', 'paid', 'shipped'];
const ITEMS = [
  ['tea', 4.2],
  ['coffee', 7.9],
  ['cup', 11.5],
  ['kettle', 49],
] as const;

/** Orders that are created, then paid, then shipped, some of them in turn; endless. */
export function* sampleOrders(random: () => number = Math.random): Generator<SampleOrder> {
  const open: { number: number; region: string; customer: string; step: number; total: number }[] =
    [];
  for (let number = 1; ;) {
    const advance = open.length > 0 && (open.length >= 20 || random() < 0.6);
    const at = Math.floor(random() * open.length);
    const order = advance ? open[at] : undefined;
    if (order !== undefined) {
      order.step++;
      if (order.step === STEPS.length - 1) open.splice(at, 1);
      yield toEvent(order);
      continue;
    }
    const [item, price] = ITEMS[Math.floor(random() * ITEMS.length)] ?? ITEMS[0];
    const count = 1 + Math.floor(random() * 4);
    const created = {
      number: number++,
      region: REGIONS[Math.floor(random() * REGIONS.length)] ?? 'eu',
      customer: `customer-${1 + Math.floor(random() * 50)}`,
      step: 0,
      total: Math.round(price * count * 100) / 100,
      items: [{ item, count, price }],
    };
    open.push(created);
    yield toEvent(created);
  }
}

function toEvent(order: {
  readonly number: number;
  readonly region: string;
  readonly customer: string;
  readonly step: number;
}): SampleOrder {
  const step = STEPS[order.step] ?? 'created';
  const { step: _, ...data } = order;
  return {
    topic: `shop/${order.region}/orders/${step}`,
    type: `com.example.order.${step}`,
    key: order.customer,
    data: { ...data, state: step },
  };
}
