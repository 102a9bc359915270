import { readFileSync, readdirSync } from 'node:fs';

/** Ticks of /proc/<pid>/stat a second; USER_HZ is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

interface Stat {
  readonly command: string;
  readonly parent: number;
  readonly cpuSeconds: number;
}

/** User and system CPU time of a process, all its threads, ended ones included. */
export const cpuSecondsOf = (pid: number): number => readStat(pid)?.cpuSeconds ?? 0;

/** Resident memory of a process in MiB. */
export function residentMiB(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (match?.[1] === undefined) throw new Error(`the system does not tell the memory of ${pid}`);
  return Number(match[1]) / 1024;
}

/** Program and arguments of a process. */
export const commandLine = (pid: number): string =>
  readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');

/** Processes started by this one, by command name as the system knows it. */
export function childrenOf(parent: number): { readonly pid: number; readonly command: string }[] {
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  return pids.flatMap((pid) => {
    const stat = readStat(pid);
    return stat?.parent === parent ? [{ pid, command: stat.command }] : [];
  });
}

function readStat(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined; // It has ended between two looks.
  }
  // The command is in parentheses and may hold spaces; the fields after it do not.
  const end = text.lastIndexOf(')');
  const fields = text.slice(end + 2).split(' ');
  return {
    command: text.slice(text.indexOf('(') + 1, end),
    parent: Number(fields[1]),
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
  };
}
