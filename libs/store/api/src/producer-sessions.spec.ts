import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ProducerSessions, judgeSession, type SessionState } from './index.ts';

const sent = fc.record({
  id: fc.constantFrom('a', 'b', 'c', 'd', '__proto__'),
  epoch: fc.integer({ min: 1, max: 3 }),
  sequences: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
});

describe('producer sessions', () => {
  it('store each number of an epoch once and rising, and forget the longest quiet one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(sent, { maxLength: 60 }), (max, all) => {
        const sessions = new ProducerSessions([], max);
        let model: { id: string; epoch: number; last: number }[] = [];
        for (const [at, session] of all.entries()) {
          const { id, epoch, sequences } = session;
          const known = model.find((entry) => entry.id === id);
          if (known !== undefined && epoch < known.epoch) {
            expect(() => judgeSession(sessions.find(id), session)).toThrow('was replaced');
            continue;
          }
          let last = known?.epoch === epoch ? known.last : 0;
          const wanted = sequences.map((n) => n > last && (last = n) > 0);
          const judged = judgeSession(sessions.find(id), session);
          expect(judged).toEqual({ fresh: wanted, last });
          sessions.set(id, { epoch, last, at });
          model = [...model.filter((entry) => entry.id !== id), { id, epoch, last }].slice(-max);
          expect([...sessions.entries()].map(([name]) => name)).toEqual(model.map((m) => m.id));
        }
      }),
    );
  });

  it('come back from disk in the order of their last append, the latest ones only', () => {
    const stored: [string, SessionState][] = [
      ['late', { epoch: 1, last: 1, at: 9 }],
      ['early', { epoch: 1, last: 5, at: 2 }],
      ['middle', { epoch: 2, last: 3, at: 4 }],
    ];
    const sessions = new ProducerSessions(stored, 2);
    expect([...sessions.entries()].map(([id]) => id)).toEqual(['middle', 'late']);
    expect(sessions.set('new', { epoch: 1, last: 1, at: 10 })).toBe('middle');
  });
});
