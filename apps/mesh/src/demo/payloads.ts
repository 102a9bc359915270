import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** A real webhook of GitHub as an event to publish. */
export interface Payload {
  readonly id: string;
  readonly source: string;
  readonly topic: string;
  readonly type: string;
  /** Order key: the repository, else the account. */
  readonly key: string;
  /** JSON, to arrive byte for byte. */
  readonly data: Buffer;
  /** See `hashOf`. */
  readonly hash: string;
}

interface Webhook {
  readonly action?: string;
  readonly repository?: { readonly name: string; readonly owner: { readonly login: string } };
  readonly organization?: { readonly login: string };
  readonly sender?: { readonly login: string };
}

interface Definition {
  readonly name: string;
  readonly examples: readonly Webhook[];
}

/** Every payload of the package: those of github.com and of each GitHub Enterprise version. */
export function loadPayloads(): Payload[] {
  const main = createRequire(import.meta.url).resolve('@octokit/webhooks-examples');
  const root = dirname(dirname(main));
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
    .flatMap((server) => {
      const text = readFileSync(join(root, server, 'index.json'), 'utf8');
      const definitions = JSON.parse(text) as Definition[];
      return definitions.flatMap(({ name, examples }) =>
        examples.map((webhook, index) => toPayload(server, name, index, webhook)),
      );
    });
}

function toPayload(server: string, event: string, index: number, webhook: Webhook): Payload {
  const owner =
    webhook.repository?.owner.login ?? webhook.organization?.login ?? webhook.sender?.login ?? '-';
  const repository = webhook.repository?.name ?? '-';
  const data = Buffer.from(JSON.stringify(webhook));
  const { action } = webhook;
  const payload = {
    id: `${server}-${event}-${index + 1}`,
    source: `https://${server}/webhooks`,
    topic: `github/${owner}/${repository}/${event}`,
    type: action === undefined ? `com.github.${event}` : `com.github.${event}.${action}`,
    key: webhook.repository === undefined ? owner : `${owner}/${repository}`,
    data,
  };
  return { ...payload, hash: hashOf(payload) };
}

/** A hash of all that must arrive unchanged: the attributes, and the data byte for byte. */
export function hashOf(event: Omit<Payload, 'topic' | 'hash' | 'data'> & { data: Uint8Array }) {
  const { id, source, type, key, data } = event;
  return createHash('sha256')
    .update(JSON.stringify([id, source, type, key]))
    .update(data)
    .digest('base64url')
    .slice(0, 22);
}
