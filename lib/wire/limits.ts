/** Every limit of protocol version 1, in one place. PROTOCOL.md publishes the same numbers. */

export const PROTOCOL_VERSION = 1;

/** Bytes of a frame's head: id, tag, length. */
export const HEADER_BYTES = 12;

/** Payload limit of a request (RQLT, PING, RQFS, RQFH), in bytes. */
export const MAX_REQUEST_BYTES = 64 * 1024;
/** Payload limit of an answer (RPFL, TPHF, ERRR, ACKN) and of a message of unknown id, in bytes. */
export const MAX_ANSWER_BYTES = 1024 * 1024;

/** Requests a side may have unanswered on one connection; more are answered with ERRR busy. */
export const MAX_UNANSWERED = 256;

/** Bytes of a hash (BLAKE3), of a peer's id (Ed25519 public key) and of a search's id. */
export const HASH_BYTES = 32;
/** Whether a text is a hash or an id as both are written: 64 hexadecimal digits, in lower case. */
export const isHex32 = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);
export const PEER_ID_BYTES = 32;
export const QUERY_ID_BYTES = 16;

/** Longest texts, in bytes of UTF-8. */
export const MAX_QUERY_BYTES = 1024;
export const MAX_PATH_BYTES = 4096;
export const MAX_HOST_BYTES = 255;
export const MAX_AGENT_BYTES = 128;
export const MAX_FEATURE_BYTES = 32;
export const MAX_ERROR_ID_BYTES = 32;
export const MAX_ERROR_MESSAGE_BYTES = 1024;

/** The feature of a peer that is there for some alone, and listed to nobody. */
export const PRIVATE = 'private';

/** Longest paging cursor, in bytes. It is opaque to everybody but the peer that made it. */
export const MAX_CURSOR_BYTES = 8192;

/** Largest numbers of things. */
export const MAX_FEATURES = 32;
export const MAX_PEERS = 50;
export const MAX_TTL = 255;
/** Peers through which a search of private peers has come. */
export const MAX_VIA = 16;
/** Entries in one RPFL or TPHF at most, whatever `max` asks for. */
export const MAX_FILES = 1000;
/** Path bytes an answerer puts in one RPFL at most; keeps the payload below its limit. */
export const MAX_FILES_PATH_BYTES = 512 * 1024;
export const MAX_TIMEOUT_MS = 10 * 60 * 1000;
