/**
 * Loaded before a service that `mesh dev` starts: when the parent is gone, and with it the other
 * end of standard input, the service is told to stop as by its supervisor.
 */
process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM'));
process.stdin.on('error', () => process.kill(process.pid, 'SIGTERM'));
process.stdin.resume();
(process.stdin as NodeJS.ReadStream & { unref?: () => void }).unref?.();
