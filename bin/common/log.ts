/** The log on stderr: plain lines, in colour when it is a terminal, or JSON lines. */
import { pino, type Logger, type LoggerOptions } from 'pino';
import pretty from 'pino-pretty';
import { escapeJson } from '../../lib/support/printable.js';

export type { Logger };

export const LOG_FORMATS = ['text', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** With numbers of levels and milliseconds pino-pretty can do more; with names and dates other programs. */
const JSON_LINES: LoggerOptions = {
  base: null,
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: (level) => ({ level }) },
};

/** What is logged as an object beside a message is only in JSON lines: the message says it all. */
export function makeLog(level: string, format: LogFormat): Logger {
  const isJson = format === 'json';
  const lineOf = isJson
    ? (line: string): string => `${escapeJson(line.trimEnd())}\n`
    : pretty.prettyFactory({
        colorize: process.stderr.isTTY,
        ignore: 'pid,hostname',
        translateTime: 'SYS:HH:MM:ss',
        hideObject: true,
      });
  // A line that stderr does not take (a full disk, no reader) is lost; the next is tried again.
  const stream = { write: (line: string) => process.stderr.write(lineOf(line)) };
  return pino({ level, ...(isJson ? JSON_LINES : {}) }, stream);
}
