import { describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { createLogger } from '@eventmesh/telemetry';
import { awayLog } from './away-log.ts';

const away = () => new MeshError('Unavailable', 'connect ECONNREFUSED', {}, new Error('refused'));

function watched() {
  const lines: Record<string, unknown>[] = [];
  let nowMs = 0;
  const log = createLogger({
    level: 'info',
    service: 'test',
    destination: { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) },
  });
  const tell = awayLog(log, 'acl is away', () => nowMs);
  return { lines, tell, pass: (ms: number) => (nowMs += ms) };
}

describe('a service that does not answer', () => {
  it('is one line without a stack, however often it is tried', () => {
    const { lines, tell } = watched();
    for (let attempt = 0; attempt < 6; attempt++) tell(away());
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      level: 'warn',
      msg: 'acl is away; it is tried again',
      code: 'Unavailable',
      cause: 'connect ECONNREFUSED',
    });
    expect(JSON.stringify(lines)).not.toContain('stack');
  });

  it('is told of again when it stays away, with the attempts in between', () => {
    const { lines, tell, pass } = watched();
    tell(away());
    tell(away());
    pass(60_000);
    tell(away());
    expect(lines.map(({ attempts }) => attempts)).toEqual([1, 2]);
  });
});

it('every other fault of a service has a line with its stack', () => {
  const { lines, tell } = watched();
  tell(away());
  tell(new MeshError('PermissionDenied', 'not you'));
  tell(new Error('a bug'));
  expect(lines).toHaveLength(3);
  expect(lines.slice(1).every(({ err }) => JSON.stringify(err).includes('stack'))).toBe(true);
});
