import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { MeshPort, Session } from '@eventmesh/adapter-api';
import { invalid } from '@eventmesh/errors';

/** How long an answer of `authenticate` holds on one connection; a revoked key ends within it. */
const HOLD_MS = 5000;

interface Held {
  readonly authorization: string | undefined;
  readonly session: Session;
  readonly untilMs: number;
}

/** Who is calling: asked of the mesh once per connection and credential, for five seconds. */
export class Sessions {
  readonly #port: MeshPort;
  readonly #held = new WeakMap<Socket, Held>();

  constructor(port: MeshPort) {
    this.#port = port;
  }

  /** @throws Unauthenticated; Unavailable when it cannot be told. */
  async of(request: IncomingMessage): Promise<Session> {
    const { authorization } = request.headers;
    const held = this.#held.get(request.socket);
    const now = Date.now();
    if (held !== undefined && held.authorization === authorization && now < held.untilMs) {
      return held.session;
    }
    if ((request.headersDistinct['authorization']?.length ?? 0) > 1) {
      throw invalid('authorization', 'is there twice');
    }
    const session = await this.#port.authenticate(authorization);
    const ends = session.expiresMs === 0 ? Number.POSITIVE_INFINITY : session.expiresMs;
    this.#held.set(request.socket, {
      authorization,
      session,
      untilMs: Math.min(now + HOLD_MS, ends),
    });
    return session;
  }
}
