import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { TlsFiles } from '@eventmesh/rpc';

/** How the other emeshers of a site are called over TLS. */
export interface PeerTls {
  readonly files: TlsFiles;
  /** They are called at addresses, which no certificate names: theirs must be of this name. */
  readonly serverName: string | undefined;
}

/** The emeshers of a site are of one kind: another one shows a certificate of this one's own name. */
export function peerTls(files: TlsFiles | undefined): PeerTls | undefined {
  if (files === undefined) return undefined;
  const names =
    files.certFile === undefined
      ? undefined
      : new X509Certificate(readFileSync(files.certFile)).subjectAltName;
  return { files, serverName: /(?:^|, )DNS:([^,]+)/.exec(names ?? '')?.[1] };
}
