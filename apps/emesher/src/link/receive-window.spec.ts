import { describe, expect, it } from '@jest/globals';
import { ReceiveWindow } from './receive-window.ts';

/** Whether there is room within the turn. */
async function hasRoom(window: ReceiveWindow): Promise<boolean> {
  let room = false;
  void window.room().then(() => {
    room = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return room;
}

describe('what the receiving half of a link has in hand', () => {
  it('stops the reading at its bytes until some are stored', async () => {
    const window = new ReceiveWindow(100, 10, () => 0);
    expect(await hasRoom(window)).toBe(true);
    window.take(60);
    expect(await hasRoom(window)).toBe(true);
    // What is there is taken, however large.
    window.take(1000);
    expect(await hasRoom(window)).toBe(false);
    window.give(1000);
    expect(await hasRoom(window)).toBe(true);
  });

  it('stops the reading while the neighbour does not read its answers', async () => {
    let answers = 10;
    const window = new ReceiveWindow(100, 10, () => answers);
    let went = false;
    const room = window.room().then(() => {
      went = true;
    });
    window.answered();
    await new Promise((resolve) => setImmediate(resolve));
    expect(went).toBe(false);
    answers = 9;
    window.answered();
    await room;
    expect(went).toBe(true);
  });

  it('holds nobody when it is closed', async () => {
    const window = new ReceiveWindow(1, 1, () => 5);
    window.close();
    expect(await hasRoom(window)).toBe(true);
  });
});
