import { CODE_FACTS, MESH_CODES, MeshError, readReason, type MeshCode } from '@eventmesh/errors';

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
    // The mesh takes a plus sign in a query for itself, as it may stand in a topic.
    const search = params.size === 0 ? '' : `?${params.toString().replaceAll('+', '%20')}`;
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

/** An API problem (RFC 9457) as the mesh sends it. */
interface Problem {
  readonly code?: unknown;
  readonly detail?: unknown;
  readonly reason?: unknown;
  readonly field?: unknown;
  readonly limit?: unknown;
  readonly retryAfterMs?: unknown;
}

/** The mesh's own problem where there is one; else what the status says. */
export function errorOf(status: number, body: string): MeshError {
  const problem = parseProblem(body);
  const code =
    MESH_CODES.find((known) => CODE_FACTS[known].number === problem.code) ??
    BY_STATUS[status] ??
    'Internal';
  const text = typeof problem.detail === 'string' ? problem.detail : body.slice(0, 500).trim();
  const { reason, field, limit, retryAfterMs } = problem;
  return new MeshError(code, text === '' ? `the server answered ${status}` : text, {
    ...(typeof reason === 'string' ? readReason(reason) : {}),
    ...(typeof field === 'string' ? { field } : {}),
    ...(typeof limit === 'string' ? { limit } : {}),
    ...(typeof retryAfterMs === 'number' ? { retryAfterMs } : {}),
  });
}

function parseProblem(body: string): Problem {
  try {
    const parsed = JSON.parse(body) as Problem | null;
    return typeof parsed === 'object' && parsed !== null ? parsed : {};
  } catch {
    return {}; // A proxy's page, say: its text is told as it is.
  }
}
