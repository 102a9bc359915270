import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const CURVE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });

/** A certificate and its private key, as PEM files. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** An authority of its own that issues certificates, by openssl, for a day. */
export class TestAuthority {
  /** What those who trust it are given. */
  readonly caFile: string;
  readonly #dir: string;
  readonly #keyFile: string;

  /** @param dir an existing folder; authorities in the same one need different names */
  constructor(dir: string, name: string) {
    this.#dir = dir;
    this.caFile = join(dir, `${name}.crt`);
    this.#keyFile = join(dir, `${name}.key`);
    const subject = ['-subj', `/CN=${name}`, '-days', '2'];
    openssl('req', '-x509', ...CURVE, ...subject, '-keyout', this.#keyFile, '-out', this.caFile);
  }

  /** @param names what it is good for. Default: 127.0.0.1. */
  issue(name: string, names = 'IP:127.0.0.1'): CertificateFiles {
    const at = (ending: string) => join(this.#dir, `${name}.${ending}`);
    const files = { certFile: at('crt'), keyFile: at('key') };
    writeFileSync(at('ext'), `subjectAltName=${names}`);
    const asked = ['-subj', `/CN=${name}`, '-keyout', files.keyFile, '-out', at('csr')];
    openssl('req', ...CURVE, ...asked);
    const ca = ['-CA', this.caFile, '-CAkey', this.#keyFile, '-CAcreateserial'];
    const out = ['-days', '1', '-extfile', at('ext'), '-out', files.certFile];
    openssl('x509', '-req', '-in', at('csr'), ...ca, ...out);
    return files;
  }
}
