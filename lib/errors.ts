/**
 * Every error the project raises on purpose: one class with a stable `code`, and beside each code
 * that can cross the wire the number and short text it has in an ERRR message.
 *
 * Callers match on `code`; people read `message`, which is always one line.
 */

/** Codes that travel in ERRR. `wire/PROTOCOL.md` publishes the same table. */
export const WIRE_ERRORS = {
  ERR_MALFORMED: { wire: 1, id: 'malformed' },
  ERR_UNKNOWN_MESSAGE: { wire: 2, id: 'unknown-message' },
  ERR_NOT_FOUND: { wire: 3, id: 'not-found' },
  ERR_TOO_LARGE: { wire: 4, id: 'too-large' },
  ERR_BUSY: { wire: 5, id: 'busy' },
  ERR_CHANGED: { wire: 6, id: 'changed' },
  ERR_HASHING: { wire: 7, id: 'hashing' },
  ERR_UNSUPPORTED: { wire: 8, id: 'unsupported' },
  ERR_FORBIDDEN: { wire: 9, id: 'forbidden' },
  ERR_TIMED_OUT: { wire: 10, id: 'timed-out' },
  ERR_INTERNAL: { wire: 11, id: 'internal' },
  ERR_RANGE: { wire: 12, id: 'range' },
} as const;

export type WireErrorCode = keyof typeof WIRE_ERRORS;

/** Codes that only ever arise on this side of a connection. */
export type LocalErrorCode =
  | 'ERR_USAGE' // an option or argument is not valid
  | 'ERR_IN_USE' // another process has the port or the state folder
  | 'ERR_UNREACHABLE' // no connection could be made
  | 'ERR_NOT_A_PEER' // something answered, but does not speak this protocol
  | 'ERR_WRONG_PEER' // the peer at an address has another key than the one that was named
  | 'ERR_CLOSED' // the connection ended before the answer was complete
  | 'ERR_MISMATCH' // bytes that do not match the hash
  | 'ERR_ABORTED'; // the caller gave up (AbortSignal)

export type ErrorCode = WireErrorCode | LocalErrorCode;

/** The one error class. `cause` holds what lies beneath, if anything does. */
export class PeerError extends Error {
  override readonly name = 'PeerError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

const BY_NUMBER = new Map<number, WireErrorCode>(
  Object.entries(WIRE_ERRORS).map(([code, { wire }]) => [wire, code as WireErrorCode]),
);

/** The code for an ERRR number; a number from a later version counts as internal. */
export function wireErrorCode(wire: number): WireErrorCode {
  return BY_NUMBER.get(wire) ?? 'ERR_INTERNAL';
}

export function isWireErrorCode(code: ErrorCode): code is WireErrorCode {
  return Object.hasOwn(WIRE_ERRORS, code);
}

/** Anything thrown, as an Error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** The code of a system call's error (`ENOENT`, `EACCES`, ...), or undefined. */
export function systemCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

/** Errors of system calls that say nothing about the file, but that this machine is short of something. */
const SHORTAGES = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR']);

/** @param code of a system call's error */
export function isShortage(code: string): boolean {
  return SHORTAGES.has(code);
}

/** Errors of system calls that say that a disk does not give what is on it. */
const READ_FAULTS = new Set(['EIO', 'EREMOTEIO', 'ENODATA']);

/** @param code of a system call's error */
export function isReadFault(code: string): boolean {
  return READ_FAULTS.has(code);
}

/** The connection broke or was not made; the peer is busy; it has just started and is still hashing. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set([
  'ERR_CLOSED',
  'ERR_UNREACHABLE',
  'ERR_TIMED_OUT',
  'ERR_BUSY',
  'ERR_HASHING',
]);

/** Whether the same request may succeed later. */
export function isTransient(error: unknown): error is PeerError {
  if (!(error instanceof PeerError)) return false;
  if (TRANSIENT.has(error.code)) return true;
  // The peer closed the connection before it said its id: it may be starting or stopping.
  return error.code === 'ERR_NOT_A_PEER' && isTransient(error.cause);
}

/** Whether the connection broke or was never made, which says nothing about what was asked for. */
export function isConnectionLoss({ code }: PeerError): boolean {
  return code === 'ERR_CLOSED' || code === 'ERR_TIMED_OUT' || code === 'ERR_UNREACHABLE';
}

/** Whether something was closed, or was given up, while it was under way: that is nobody's fault. */
export function isEnding(error: unknown): error is PeerError {
  return (
    error instanceof PeerError && (error.code === 'ERR_CLOSED' || error.code === 'ERR_ABORTED')
  );
}

/** Whether the peer sent what no honest peer sends: it must not be asked again. */
export function isPeerFault({ code }: PeerError): boolean {
  return code === 'ERR_MISMATCH' || code === 'ERR_MALFORMED';
}

/**
 * The error for a cancelled operation: the signal's own reason when that is an Error of ours, else
 * an ERR_ABORTED that carries it as cause.
 */
export function abortError(signal: AbortSignal): PeerError {
  const reason: unknown = signal.reason;
  return reason instanceof PeerError
    ? reason
    : new PeerError('ERR_ABORTED', 'the operation was aborted', { cause: reason });
}
