import { invalid } from '@eventmesh/errors';

/**
 * Most parts that the filters of one subscription have together: filters, attributes that they
 * name, operators, operands and calls of expressions, steps of paths.
 */
export const FILTER_PARTS_MAX = 4096;
/** Most UTF-16 units in the expressions, names, texts and paths of one subscription's filters. */
export const FILTER_TEXT_MAX = 65_536;

/** How big the filters of one subscription are, added up while they are compiled. */
export class Size {
  #parts = 0;
  #characters = 0;

  /** @throws MeshError InvalidArgument naming the filter with which it is too much. */
  add(field: string, parts: number, characters: number): void {
    this.#parts += parts;
    this.#characters += characters;
    if (this.#parts > FILTER_PARTS_MAX) throw tooBig(field, 'parts', FILTER_PARTS_MAX);
    if (this.#characters > FILTER_TEXT_MAX) throw tooBig(field, 'characters', FILTER_TEXT_MAX);
  }
}

const tooBig = (field: string, unit: string, most: number) =>
  invalid(
    field,
    `with this one the filters have more than ${most} ${unit} together; ask for less of it, ` +
      'with IN for many values of one attribute, or share it out among several subscriptions',
    { limit: `${most} ${unit} in all filters of a subscription` },
  );
