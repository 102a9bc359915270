import type { MeshPort, Session } from '@eventmesh/adapter-api';
import type { CallContext, RegisterOptions } from '@eventmesh/rpc';

const SESSIONS = new WeakMap<object, Promise<Session>>();

/** Who calls; asked for once a call, by the guard, before the message is read. */
export function sessionOf(
  port: Pick<MeshPort, 'authenticate'>,
  ctx: Pick<CallContext, 'metadata'>,
): Promise<Session> {
  let session = SESSIONS.get(ctx);
  if (session === undefined) {
    session = port.authenticate(ctx.metadata.get('authorization'));
    SESSIONS.set(ctx, session);
  }
  return session;
}

/** Refuses callers without valid credentials. */
export const sessionGuard = (port: MeshPort): Required<Pick<RegisterOptions, 'guard'>> => ({
  guard: async (ctx) => {
    await sessionOf(port, ctx);
  },
});
