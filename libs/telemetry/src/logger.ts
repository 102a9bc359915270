import { pino, type Logger as PinoLogger } from 'pino';

/** Structured logging: `log.info({ facts }, 'a sentence')`. */
export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'> & {
  child(bindings: Record<string, unknown>): Logger;
};

export interface LoggerOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly service: string;
  readonly site?: string;
  /** Where lines go. Default standard output. */
  readonly destination?: { write(line: string): void };
}

/** Fields that may carry a credential; whatever their depth in a logged object, they print `***`. */
const SECRET_FIELDS = ['password', 'secret', 'authorization', 'token', 'apiKey', 'jwt', 'cookie'];

/** A JSON logger; errors are written with their stack and cause, secrets never. */
export function createLogger(options: LoggerOptions): Logger {
  const { level, service, site, destination } = options;
  return pino(
    {
      level,
      base: { service, ...(site === undefined ? {} : { site }) },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
        censor: '***',
      },
    },
    destination ?? pino.destination({ sync: true }),
  );
}
