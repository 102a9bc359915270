import { readFile } from 'node:fs/promises';
import { MeshError, unavailable } from '@eventmesh/errors';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from 'jose';

/** Where an issuer's public keys come from; exactly one is set. */
export interface KeySourceOptions {
  /** https, or http on this machine. Redirects are not followed. */
  readonly url?: string | undefined;
  readonly file?: string | undefined;
  readonly inline?: string | undefined;
  /** How long keys from a URL are used without loading them again, in ms; at most 600,000. */
  readonly cacheMs: number;
}

export interface KeySource {
  start(): Promise<void>;
  readonly find: JWTVerifyGetKey;
}

/** Largest key set in bytes. */
const KEY_SET_BYTES_MAX = 256 * 1024;
/** Least time between two loads that unknown key ids ask for, in ms. */
const COOLDOWN_MS = 30_000;
const LOAD_TIMEOUT_MS = 5000;

export function keySource(options: KeySourceOptions): KeySource {
  return options.url === undefined ? localSource(options) : remoteSource(options.url, options);
}

function localSource(options: KeySourceOptions): KeySource {
  let keys: Promise<JWTVerifyGetKey> | undefined;
  const load = async () => {
    const text = options.inline ?? (await readFile(options.file ?? '', 'utf8'));
    return createLocalJWKSet(parseKeySet(text, options.file ?? 'keys.inline'));
  };
  const loaded = () => (keys ??= load());
  return {
    async start() {
      await loaded();
    },
    find: async (header, token) => (await loaded())(header, token),
  };
}

function remoteSource(url: string, options: KeySourceOptions): KeySource {
  const find = createRemoteJWKSet(new URL(url), {
    timeoutDuration: LOAD_TIMEOUT_MS,
    cooldownDuration: COOLDOWN_MS,
    cacheMaxAge: options.cacheMs,
    [customFetch]: fetchKeySet,
  });
  return {
    // An issuer that is away must not keep everybody else from logging in.
    start: () => Promise.resolve(),
    find,
  };
}

/** Every failure to load is Unavailable and so told apart from a token that is wrong. */
async function fetchKeySet(url: string, init: RequestInit): Promise<Response> {
  try {
    const response = await fetch(url, init);
    if (response.status !== 200) throw new Error(`status ${response.status}`);
    const body = await readBounded(response);
    parseKeySet(body, url);
    return new Response(body, { status: 200 });
  } catch (error) {
    throw unavailable('the key set of a token issuer cannot be loaded', error);
  }
}

async function readBounded(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += part.byteLength;
    if (bytes > KEY_SET_BYTES_MAX) throw new Error(`more than ${KEY_SET_BYTES_MAX} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** @throws MeshError InvalidArgument; never repeats the text. */
export function parseKeySet(text: string, from: string): JSONWebKeySet {
  const parsed = parseJson(text, from) as { keys?: unknown } | null;
  const keys = parsed?.keys;
  if (!Array.isArray(keys) || keys.length === 0) {
    throw problem(from, 'is not a JSON Web Key Set (RFC 7517): it has no list "keys"');
  }
  for (const key of keys as { kty?: unknown; d?: unknown }[]) {
    if (typeof key !== 'object' || key === null) throw problem(from, 'has a key that is none');
    if (key.kty === 'oct') throw problem(from, 'has a symmetric key; only public keys belong here');
    if (key.d !== undefined) throw problem(from, 'has a private key; only public keys belong here');
  }
  return parsed as JSONWebKeySet;
}

function parseJson(text: string, from: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw problem(from, 'is not JSON', error);
  }
}

const problem = (from: string, message: string, cause?: unknown): MeshError =>
  new MeshError('InvalidArgument', `${from}: ${message}`, { field: from }, cause);
