import { describe, expect, it } from '@jest/globals';
import { RouteHistory } from './route-history.ts';

describe('RouteHistory', () => {
  it('leaves what was routed before a change with the old hop', () => {
    let hop: string | undefined = 'b';
    const history = new RouteHistory(() => hop);
    for (const position of [1, 2, 3]) expect(history.hop('t/0', position, 'far')).toBe('b');
    hop = 'c';
    expect(history.hop('t/0', 4, 'far')).toBe('c');
    // The old link comes back and reads again from its resume point.
    expect([2, 3, 4].map((position) => history.hop('t/0', position, 'far'))).toEqual([
      'b',
      'b',
      'c',
    ]);
  });

  it('keeps lanes apart', () => {
    let hop = 'b';
    const history = new RouteHistory(() => hop);
    history.hop('t/0', 9, 'far');
    hop = 'c';
    expect(history.hop('t/1', 5, 'far')).toBe('c');
    expect(history.hop('t/0', 5, 'far')).toBe('b');
  });

  it('gives everything to the first hop of a site that had none', () => {
    let hop: string | undefined = undefined;
    const history = new RouteHistory(() => hop);
    expect(history.hop('t/0', 1, 'far')).toBeUndefined();
    hop = 'b';
    expect(history.hop('t/0', 1, 'far')).toBe('b');
  });

  it('keeps the last hop of a site that cannot be reached now', () => {
    let hop: string | undefined = 'b';
    const history = new RouteHistory(() => hop);
    history.hop('t/0', 1, 'far');
    hop = undefined;
    history.hop('t/0', 2, 'far');
    hop = 'b';
    expect(history.hop('t/0', 1, 'far')).toBe('b');
  });

  it('leaves what a reader need not read again with the hop of then, as if it had read it', () => {
    let hop = 'b';
    const history = new RouteHistory(() => hop);
    history.resumed('t/0', 100, ['far']);
    hop = 'c';
    expect(history.hop('t/0', 101, 'far')).toBe('c');
    expect(history.hop('t/0', 50, 'far')).toBe('b');
    // A reader that begins further back does not take anything away.
    history.resumed('t/0', 10, []);
    expect(history.hop('t/0', 100, 'far')).toBe('b');
  });

  it('knows to whom records may belong, now and from before a change', () => {
    let hop: string | undefined = undefined;
    const history = new RouteHistory(() => hop);
    expect(history.mayBelong('far', 'b')).toBe(false);
    hop = 'b';
    expect(history.mayBelong('far', 'b')).toBe(true);
    history.hop('t/0', 1, 'far');
    hop = 'c';
    expect(history.mayBelong('far', 'b')).toBe(true);
    expect(history.mayBelong('far', 'c')).toBe(true);
    expect(history.mayBelong('near', 'd')).toBe(false);
  });
});
