import { createHash } from 'node:crypto';
import { EventView, attributeText } from '@eventmesh/event';

/**
 * A hash over what must reach the consumer unchanged: the required attributes, every other one but
 * those listed, and the data byte for byte.
 *
 * @param event io.cloudevents.v1.CloudEvent.
 * @param except Attributes that the path may set, such as `traceparent`.
 */
export function hashEvent(event: Uint8Array, except: readonly string[] = ['traceparent']): string {
  const view = new EventView(event);
  const hash = createHash('sha256');
  const attributes = [...view.attributes]
    .filter(([name]) => !except.includes(name))
    .map(([name, value]) => [name, attributeText(value)])
    .sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
  hash.update(JSON.stringify([view.id, view.source, view.type, view.specVersion, attributes]));
  if (view.data !== undefined) hash.update('\0').update(view.data.bytes);
  return hash.digest('base64url').slice(0, 22);
}
