import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TimerRoom } from './timer-room.ts';

describe('the room for timers', () => {
  it('is taken by each timer when it is let in, and not when it is read', () => {
    const room = new TimerRoom();
    const stock = { upTo: 0, free: 3 };
    expect([1, 2, 3, 4].map(() => room.take(stock))).toEqual([true, true, true, false]);
    room.give(1);
    expect([room.take(stock), room.take(stock)]).toEqual([true, false]);
  });

  it('stays taken by what is stored until that is read', () => {
    const room = new TimerRoom();
    for (let n = 0; n < 3; n++) room.take({ upTo: 10, free: 3 });
    room.landed(3, 13);
    expect(room.take({ upTo: 10, free: 3 })).toBe(false);
    // One is known, and waits.
    expect(room.take({ upTo: 11, free: 2 })).toBe(false);
    expect(room.take({ upTo: 11, free: 3 })).toBe(true);
    room.give(1);
    expect(room.take({ upTo: 13, free: 0 })).toBe(false);
    expect(room.take({ upTo: 13, free: 1 })).toBe(true);
  });

  it('never has more let in than there is room for', () => {
    const step = fc.constantFrom('take', 'land', 'fail', 'read', 'done');
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 300 }),
        fc.integer({ min: 1, max: 9 }),
        (steps, max) => {
          const room = new TimerRoom();
          let [sent, stored, read, upTo, last] = [0, 0, 0, 0, 0];
          for (const kind of steps) {
            if (kind === 'take') {
              const taken = room.take({ upTo, free: max - read });
              expect(taken).toBe(sent + stored + read < max);
              if (taken) sent++;
            } else if (kind === 'land') {
              last += sent;
              room.landed(sent, last);
              [sent, stored] = [0, stored + sent];
            } else if (kind === 'fail') {
              room.give(sent);
              sent = 0;
            } else if (kind === 'read') {
              [read, stored, upTo] = [read + stored, 0, last];
            } else read = Math.max(0, read - 1);
          }
        },
      ),
    );
  });
});
