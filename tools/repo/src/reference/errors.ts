import { CODE_FACTS, GRPC_STATUS, HTTP_STATUS, MESH_CODES, REASONS } from '@eventmesh/errors';
import { code, page, table } from './markdown.ts';

const ABOUT = `Every refusal of the mesh carries one of these codes, the same in every protocol. The
number is stable and for programs; the text is for people and may change. Over HTTP an error is an
\`application/problem+json\` body (RFC 9457) with \`code\` (the number), \`reason\`, \`detail\`, and
\`field\`, \`limit\` and \`retryAfterMs\` where they apply. Over gRPC it is a status with
\`google.rpc\` details: \`ErrorInfo\` (reason and number), \`BadRequest\` (the field), \`RetryInfo\`.
Fields are named as the protocol writes them: \`expiresAfterMs\` over HTTP, \`expires_after_ms\` over gRPC.

The column *retry* says whether the same operation may succeed when repeated: *later* asks for the
pause that the error names.`;

const REASONS_ABOUT = `## Reasons

\`reason\` says more closely why, by one of the words below; each comes with one code. An error of
which there is nothing more to tell has the reason of its code (\`NOT_FOUND\` of \`NotFound\`). The
words do not change. Later versions add some, so treat one that you do not know as the reason of its
code. A replay stream that is through ends with the reason \`COMPLETE\`, which is no error.`;

const GRPC_NAMES: Readonly<Record<number, string>> = Object.freeze({
  1: 'CANCELLED',
  3: 'INVALID_ARGUMENT',
  4: 'DEADLINE_EXCEEDED',
  5: 'NOT_FOUND',
  6: 'ALREADY_EXISTS',
  7: 'PERMISSION_DENIED',
  8: 'RESOURCE_EXHAUSTED',
  9: 'FAILED_PRECONDITION',
  10: 'ABORTED',
  12: 'UNIMPLEMENTED',
  13: 'INTERNAL',
  14: 'UNAVAILABLE',
  15: 'DATA_LOSS',
  16: 'UNAUTHENTICATED',
});

export function errorsPage(): string {
  const rows = MESH_CODES.map((name) => {
    const { number, retry } = CODE_FACTS[name];
    const status = GRPC_STATUS[name];
    return [
      code(name),
      String(number),
      `${GRPC_NAMES[status] ?? ''} (${status})`,
      String(HTTP_STATUS[name]),
      retry,
    ];
  });
  const titles = ['code', ':number', 'gRPC status', ':HTTP status', 'retry'];
  const reasons = Object.entries(REASONS)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([reason, facts]) => [code(reason), code(facts.code), facts.what]);
  const words = table(['reason', 'code', 'what happened, and the way out'], reasons);
  return page('Errors', ABOUT, [table(titles, rows), REASONS_ABOUT, words]);
}
