/** The log on stderr: plain lines, in colour when it is a terminal, or JSON lines. */
import type { Logger } from 'pino';
import { escapeJson } from '../../lib/support/printable.js';

export type { Logger };

export const LOG_FORMATS = ['text', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** What is logged as an object beside a message is only in JSON lines: the message says it all. */
export async function makeLog(level: string, format: LogFormat): Promise<Logger> {
  const { pino } = await import('pino');
  const { default: pretty } = await import('pino-pretty');
  const isJson = format === 'json';
  // With numbers of levels and milliseconds pino-pretty can do more; with names and dates other programs.
  const json = {
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level: string) => ({ level }) },
  };
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
  return pino({ level, ...(isJson ? json : {}) }, stream);
}
