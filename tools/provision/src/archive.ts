import { createReadStream, createWriteStream, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import tar from 'tar-stream';
import { download } from './download.ts';
import type { MakeContext } from './tools.ts';

/** An official release: where its archives lie and which files they are. */
export interface Release {
  readonly name: string;
  /** Folder of the archives of a version, without a slash at its end. */
  readonly base: (version: string) => string;
  /** SHA-256 of `<name>-v<version>-<platform>.tar.gz` by platform, such as `linux-amd64`. */
  readonly sha256: Readonly<Record<string, string>>;
}

const ARCHITECTURES: Readonly<Partial<Record<NodeJS.Architecture, string>>> = Object.freeze({
  x64: 'amd64',
  arm64: 'arm64',
});

/** The platform in the words of release archives. */
export const releasePlatform = (): string =>
  `${process.platform}-${ARCHITECTURES[process.arch] ?? process.arch}`;

/** Downloads a release archive, checks it against its pin and takes the one binary out. */
export function takeRelease({ name, base, sha256 }: Release) {
  return async ({ folder, version, say, env }: MakeContext): Promise<string> => {
    const platform = releasePlatform();
    const pin = sha256[platform];
    if (pin === undefined) {
      throw new Error(`there is no pinned archive for ${platform}`);
    }
    const stem = `${name}-v${version}-${platform}`;
    const url = `${env[RELEASES_VARIABLE] ?? base(version)}/${stem}.tar.gz`;
    say(`downloading ${url}`);
    const archive = join(folder, `${stem}.tar.gz`);
    await download(url, archive, pin, env);
    const binary = join(folder, name);
    await unpackOne(archive, `${stem}/${name}`, binary);
    rmSync(archive);
    return binary;
  };
}

/** Names a mirror of the archives; what it serves has to be the pinned files all the same. */
export const RELEASES_VARIABLE = 'EVENTMESH_RELEASES_URL';

/** Unpacks one file of a .tar.gz and nothing else: no path of the archive is ever used as one. */
async function unpackOne(archive: string, wanted: string, file: string): Promise<void> {
  const extract = tar.extract();
  let found = false;
  extract.on('entry', (header, content, next) => {
    if (found || header.type !== 'file' || header.name !== wanted) {
      content.on('end', () => next());
      content.resume();
      return;
    }
    found = true;
    pipeline(content, createWriteStream(file, { mode: 0o755 })).then(() => next(), next);
  });
  await pipeline(createReadStream(archive), createGunzip(), extract);
  if (!found) throw new Error(`there is no ${wanted} in ${archive}`);
}
