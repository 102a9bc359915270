import { createHash } from 'node:crypto';
import { createWriteStream, rmSync } from 'node:fs';
import { request as requestHttp, Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { request as requestHttps, Agent as HttpsAgent } from 'node:https';
import { pipeline } from 'node:stream/promises';

export type Variables = Readonly<Record<string, string | undefined>>;

/** A release page answers with one redirect to where its files lie; a chain is a fault. */
const REDIRECTS_MAX = 5;
/** Nothing arrives for this long: the way is closed. In ms. */
const SILENCE_MS_MAX = 30_000;
/** The largest archive is below 40 MB; more is not what was asked for. */
const BYTES_MAX = 256 * 1024 * 1024;

/**
 * Downloads a file, through the proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name, and
 * keeps it only when it is the one that was pinned.
 *
 * @param sha256 In hexadecimal.
 * @throws Error that names the address; then nothing is left at `file`.
 */
export async function download(
  url: string,
  file: string,
  sha256: string,
  env: Variables,
): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    const response = await open(new URL(url), env, REDIRECTS_MAX);
    const checked = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        bytes += chunk.length;
        if (bytes > BYTES_MAX) throw new Error(`is larger than ${BYTES_MAX} bytes`);
        hash.update(chunk);
        yield chunk;
      }
    };
    await pipeline(response, checked, createWriteStream(file));
    const got = hash.digest('hex');
    if (got !== sha256) throw new Error(`has SHA-256 ${got}, but ${sha256} is pinned`);
  } catch (error) {
    rmSync(file, { force: true });
    throw new Error(`${url}: ${(error as Error).message}`, { cause: error });
  }
}

function open(url: URL, env: Variables, redirects: number): Promise<IncomingMessage> {
  const secure = url.protocol === 'https:';
  if (!secure && url.protocol !== 'http:') {
    return Promise.reject(new Error(`${url.protocol} is not http or https`));
  }
  const options = { proxyEnv: env, timeout: SILENCE_MS_MAX };
  const agent = secure ? new HttpsAgent(options) : new HttpAgent(options);
  return new Promise((resolve, reject) => {
    const send = secure ? requestHttps : requestHttp;
    const request = send(url, { agent, timeout: SILENCE_MS_MAX }, (response) => {
      const { statusCode = 0, headers } = response;
      if (statusCode === 200) {
        resolve(response);
        return;
      }
      response.resume();
      if (statusCode < 300 || statusCode > 399 || headers.location === undefined) {
        reject(new Error(`answered ${statusCode}`));
      } else if (redirects === 0) {
        reject(new Error(`was redirected more than ${REDIRECTS_MAX} times`));
      } else {
        const next = new URL(headers.location, url);
        // The pin would find a changed file, but what was asked for in private stays private.
        if (secure && next.protocol !== 'https:')
          reject(new Error(`redirects to ${next.protocol}`));
        else resolve(open(next, env, redirects - 1));
      }
    });
    request.once('timeout', () => {
      request.destroy(new Error(`nothing came for ${SILENCE_MS_MAX} ms`));
    });
    request.once('error', reject);
    request.end();
  });
}
