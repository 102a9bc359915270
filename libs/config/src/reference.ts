import { isRequired, type Entry } from './spec.ts';

/** One row of the reference page. */
export interface ConfigRow {
  readonly key: string;
  readonly kind: string;
  readonly default: string;
  readonly about: string;
}

/** Every setting of a spec, in order, with its dotted key; for the generated reference page. */
export function configRows(spec: Entry<unknown>, prefix = ''): ConfigRow[] {
  const rows: ConfigRow[] = [];
  for (const [name, child] of Object.entries(spec.children ?? {})) {
    const key = prefix === '' ? name : `${prefix}.${name}`;
    if (child.kind === 'section') rows.push(...configRows(child, key));
    else {
      rows.push({ key, kind: child.kind, default: defaultText(child), about: child.about });
      if (child.item?.kind === 'section') rows.push(...configRows(child.item, `${key}[]`));
    }
  }
  return rows;
}

function defaultText(child: Entry<unknown>): string {
  if (child.default !== undefined) return JSON.stringify(child.default);
  return isRequired(child) ? 'required' : 'none';
}
