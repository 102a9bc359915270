import { describe, expect, it } from '@jest/globals';
import { RightOfWay } from './right-of-way.ts';

describe('RightOfWay', () => {
  it('lets readers pass at once while no commit has appends', () => {
    const way = new RightOfWay(() => 0);
    expect(way.pass()).toBeUndefined();
    way.begin();
    way.end();
    expect(way.pass()).toBeUndefined();
  });

  it('lets readers rest for half of the time while lone appends keep coming', async () => {
    let now = 100;
    const way = new RightOfWay(() => now);
    way.begin();
    way.end();
    expect(way.pass()).toBeUndefined();
    now = 100.9;
    expect(way.pass()).toBeUndefined();
    now = 101;
    const rest = way.pass();
    expect(rest).toBeInstanceOf(Promise);
    expect(way.pass()).toBe(rest);
    now = 102;
    await rest;
    expect(way.pass()).toBeUndefined();
    now = 103;
    expect(way.pass()).toBeInstanceOf(Promise);
  });

  it('asks for no rest from readers that have had nothing to do', () => {
    let now = 100;
    const way = new RightOfWay(() => now);
    way.begin();
    way.end();
    for (; now < 120; now += 1.5) expect(way.pass()).toBeUndefined();
  });

  it('lets readers read on when no lone append has come for a while', () => {
    let now = 100;
    const way = new RightOfWay(() => now);
    way.begin();
    way.end();
    for (now = 151; now < 160; now += 0.5) expect(way.pass()).toBeUndefined();
  });

  it('lets readers read on while one commit follows the other', () => {
    let now = 100;
    const way = new RightOfWay(() => now);
    way.begin();
    way.end(true);
    way.begin();
    for (; now < 110; now += 0.5) expect(way.pass()).toBeUndefined();
  });

  it('holds every reader until the commit ends, and what waits for the commit comes first', async () => {
    const way = new RightOfWay(() => 0);
    const order: string[] = [];
    way.begin();
    const readers = ['one', 'two'].map(async (name) => {
      await way.pass();
      order.push(name);
    });
    way.end();
    await Promise.resolve().then(() => order.push('receipt'));
    await Promise.all(readers);
    expect(order).toEqual(['receipt', 'one', 'two']);
  });

  it('lets a reader go on for as long as it has waited, through the next commits', async () => {
    let now = 100;
    const way = new RightOfWay(() => now);
    way.begin();
    const waited = way.pass();
    now = 103;
    way.end();
    await waited;
    way.begin();
    expect(way.pass()).toBeUndefined();
    now = 105.9;
    expect(way.pass()).toBeUndefined();
    now = 106;
    expect(way.pass()).toBeInstanceOf(Promise);
    way.end();
  });

  it('gives nobody time who has not waited', () => {
    let now = 100;
    const way = new RightOfWay(() => now);
    way.begin();
    now = 104;
    way.end();
    way.begin();
    expect(way.pass()).toBeInstanceOf(Promise);
    way.end();
  });

  it('holds nobody while one commit follows the other, and again after a pause', () => {
    const way = new RightOfWay(() => 0);
    way.begin();
    way.end(true);
    way.begin();
    expect(way.pass()).toBeUndefined();
    way.end(false);
    way.begin();
    expect(way.pass()).toBeInstanceOf(Promise);
    way.end();
  });

  it('lets a reader go on when the disk hangs', async () => {
    const way = new RightOfWay();
    way.begin();
    await way.pass();
    expect(way.pass()).toBeUndefined();
  });
});
