/** The two hash functions of the block tree. Both give 32 bytes. */
import { blake3, Blake3Hasher } from '@napi-rs/blake-hash';

/**
 * Context string of a list's hash. It separates the two domains: no block's bytes can pass for a
 * list, nor a list for a block.
 */
export const LIST_CONTEXT = 'p2p-serve 2026-11-22 block tree v1: list of hashes';

/** BLAKE3 of a block's bytes (what `b3sum` prints). */
export function hashBlock(bytes: Uint8Array): Uint8Array {
  return blake3(asBuffer(bytes));
}

/** BLAKE3 in derive-key mode of a list's bytes (what `b3sum --derive-key` prints). */
export function hashList(bytes: Uint8Array): Uint8Array {
  return Blake3Hasher.deriveKey(LIST_CONTEXT, asBuffer(bytes));
}

/** The same memory as the binding wants it. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
