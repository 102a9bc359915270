import { MESH_CODES, MeshError, type MeshCode } from '@eventmesh/errors';

const TIMEOUT_MS = 15_000;

/** The JSON management surface of an emesher. All errors are MeshErrors. */
export class HttpClient {
  readonly #base: string;
  readonly #headers: Record<string, string>;

  constructor(base: string, authorization: string | undefined) {
    this.#base = base.replace(/\/+$/, '');
    this.#headers = authorization === undefined ? {} : { authorization };
  }

  async get<T>(path: string, query: Readonly<Record<string, string | undefined>> = {}): Promise<T> {
    const params = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) params.set(name, value);
    }
    const search = params.size === 0 ? '' : `?${params.toString()}`;
    const response = await this.#fetch(`${path}${search}`, {});
    return (await response.json()) as T;
  }

  async text(path: string): Promise<string> {
    return (await this.#fetch(path, {})).text();
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(`${this.#base}${path}`, {
        ...init,
        headers: this.#headers,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch (error) {
      const why = causeText(error);
      throw new MeshError('Unavailable', `${this.#base} does not answer (${why})`, {}, error);
    }
    if (response.ok) return response;
    throw errorOf(response.status, await response.text());
  }
}

function causeText(error: unknown): string {
  const { cause, message } = error as { cause?: { code?: string }; message: string };
  return cause?.code ?? message;
}

const BY_STATUS: Readonly<Record<number, MeshCode>> = Object.freeze({
  400: 'InvalidArgument',
  401: 'Unauthenticated',
  403: 'PermissionDenied',
  404: 'NotFound',
  409: 'AlreadyExists',
  413: 'PayloadTooLarge',
  429: 'ResourceExhausted',
  501: 'Unimplemented',
  503: 'Unavailable',
  504: 'DeadlineExceeded',
});

/** The mesh's own error body where there is one; else what the status says. */
export function errorOf(status: number, body: string): MeshError {
  let error: { code?: unknown; message?: unknown } = {};
  try {
    const parsed = JSON.parse(body) as { error?: typeof error } & typeof error;
    error = parsed.error ?? parsed;
  } catch {
    error = { message: body.slice(0, 500).trim() };
  }
  const code = MESH_CODES.find((known) => known === error.code) ?? BY_STATUS[status] ?? 'Internal';
  const text = typeof error.message === 'string' && error.message !== '' ? error.message : '';
  return new MeshError(code, text === '' ? `the server answered ${status}` : text);
}
