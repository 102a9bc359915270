import type { MessageInitShape } from '@bufbuild/protobuf';
import { MeshError, type Reason } from '@eventmesh/errors';
import type { CredentialSchema } from '@eventmesh/proto-gen/acl';

/** A credential as a caller presented it. Never log one. */
export type Credential = MessageInitShape<typeof CredentialSchema>;

/** Longest `authorization` header that is looked at, in characters. */
export const AUTHORIZATION_LENGTH_MAX = 16_384;
/** API keys read `em_<id>_<secret>`. */
export const API_KEY_PREFIX = 'em_';

/**
 * Reads an `authorization` header or metadata value: `Basic` (RFC 7617, UTF-8) for users, `Bearer`
 * (RFC 6750) for API keys and JWTs. The scheme's case does not matter.
 *
 * @throws MeshError Unauthenticated; its text never repeats any of the header.
 */
export function parseAuthorization(header: string | undefined): Credential {
  if (header === undefined || header === '') {
    throw refused('is missing; send Basic or Bearer credentials', 'CREDENTIAL_MISSING');
  }
  if (header.length > AUTHORIZATION_LENGTH_MAX) {
    throw refused(`is longer than ${AUTHORIZATION_LENGTH_MAX} characters`);
  }
  const [, scheme = '', value = ''] = /^([A-Za-z]+) +(\S+) *$/.exec(header) ?? [];
  switch (scheme.toLowerCase()) {
    case 'basic':
      return basic(value);
    case 'bearer':
      return bearer(value);
    default:
      throw refused('must read "Basic …" or "Bearer …"');
  }
}

/** A user's credential; `user` is a name or `tenant/name`. */
export const passwordCredential = (user: string, password: string): Credential => ({
  credential: { case: 'password', value: { user, password } },
});

function basic(value: string): Credential {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(value)) throw refused('is not base64 after "Basic"');
  const bytes = Buffer.from(value, 'base64');
  const text = decodeUtf8(bytes);
  const colon = text.indexOf(':');
  // RFC 7617 section 2: the user-id has no colon, so the first one ends it.
  if (colon < 1) throw refused('must hold user:password in base64 after "Basic"');
  return passwordCredential(text.slice(0, colon), text.slice(colon + 1));
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw refused('is not UTF-8 in base64 after "Basic"', 'CREDENTIAL_MALFORMED', error);
  }
}

function bearer(value: string): Credential {
  if (value.startsWith(API_KEY_PREFIX)) return { credential: { case: 'apiKey', value } };
  // RFC 7515 section 7.1: three parts of base64url.
  if (!/^[\w-]+\.[\w-]+\.[\w-]*$/.test(value)) {
    throw refused(`must carry a JWT or an API key (${API_KEY_PREFIX}…) after "Bearer"`);
  }
  return { credential: { case: 'jwt', value } };
}

function refused(
  text: string,
  reason: Reason = 'CREDENTIAL_MALFORMED',
  cause?: unknown,
): MeshError {
  return new MeshError(
    'Unauthenticated',
    `authorization: ${text}`,
    { field: 'authorization', reason },
    cause,
  );
}
