import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { loadConfig, section } from '@eventmesh/config';
import { dataPlaneConfig } from '../config.ts';
import { Journal } from '../inspect/journal.ts';
import { Logs } from '../logs.ts';
import { giveBack } from './give-back.ts';
import { decodeLetter, encodeLetter } from './letter.ts';
import { DeadSite, TENANT, dying } from './test/dead-site.ts';

let site: DeadSite;
beforeEach(async () => {
  site = new DeadSite();
  await site.open();
});
afterEach(() => site.close());

const letter = (id: number) => decodeLetter(id, encodeLetter('west', dying(id)));

describe('the events of letters that are given back', () => {
  it('come into the books once, though a crash has them given back twice', async () => {
    const { store } = site;
    const logs = new Logs(store, loadConfig(section('', dataPlaneConfig), { value: {} }).log);
    const journal = new Journal(100);
    const give = giveBack({ site: 'west', store, logs, journal });
    await give(TENANT, [letter(1), letter(2)]);
    await give(TENANT, [letter(2), letter(3)]);
    const partitions = (await store.logInfo(`events.${TENANT}`))?.partitions ?? [];
    const lying = partitions.reduce((sum, { last }) => sum + last, 0);
    expect([journal.receipts(TENANT), lying]).toEqual([3, 3]);
    expect(journal.find(TENANT, '2')).toHaveLength(1);
  });
});
