import { readFileSync, readdirSync } from 'node:fs';
import { constants, setPriority } from 'node:os';

const TASKS = '/proc/self/task';
/** As Node names the threads on which V8 compiles, marks and frees. */
const HELPER = 'V8Worker';

/**
 * Lets V8's helper threads give way to everything else on the machine: a thread that has an event in
 * its hands, of this process, of the kernel or of another application, must not wait for one that
 * compiles or frees memory until the scheduler's next tick, up to 4 ms away. On an idle core they are
 * as fast as before. On Linux, where a thread has a nice value of its own; elsewhere nothing happens.
 */
export function lowerHelperThreads(): void {
  if (process.platform !== 'linux') return;
  for (const thread of readdirSync(TASKS)) {
    try {
      const name = readFileSync(`${TASKS}/${thread}/comm`, 'utf8').trim();
      if (name === HELPER) setPriority(Number(thread), constants.priority.PRIORITY_LOW);
    } catch {
      // It has ended since, or the system does not let us: it goes on as it was.
    }
  }
}
