/**
 * The part of CBOR (RFC 8949) that payloads use, over cborg: integers, byte and text strings, arrays,
 * maps, true, false and null, of definite length and in the shortest form. Everything else is
 * refused, also below keys that nobody reads.
 */
import { isUtf8 } from 'node:buffer';
import { Tokenizer, Type, decode, encode, type Token } from 'cborg';
import { malformed } from './fields.js';

const OPTIONS = {
  strict: true,
  useMaps: true,
  rejectDuplicateMapKeys: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  retainStringBytes: true,
};

// A map keeps its order: that of RPFL's files is a ranking. cborg would sort it.
const ENCODE = { mapSorter: undefined } as object;

class StrictTokenizer extends Tokenizer {
  override next(): Token {
    const token = super.next();
    if (Type.equals(token.type, Type.float)) throw new Error('a float');
    if (Type.equals(token.type, Type.break)) throw new Error('a break');
    // cborg replaces what is not UTF-8 by U+FFFD, so only a text that holds one can be bad.
    if (Type.equals(token.type, Type.string) && String(token.value).includes('\ufffd')) {
      if (!isUtf8(token.byteValue ?? new Uint8Array(0))) throw new Error('a text is not UTF-8');
    }
    return token;
  }
}

export function encodeCbor(value: unknown): Uint8Array {
  return encode(value, ENCODE);
}

/** @throws PeerError ERR_MALFORMED, whatever is wrong */
export function decodeCbor(bytes: Uint8Array): unknown {
  try {
    // As a plain Uint8Array: what cborg cuts out of that are copies, and `bytes` may be read into again.
    const data = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    return decode(data, { ...OPTIONS, tokenizer: new StrictTokenizer(data, OPTIONS) });
  } catch (error) {
    // Nesting deep enough to exhaust the stack is one more way to be malformed.
    const why = error instanceof RangeError ? 'nested too deep' : (error as Error).message;
    throw malformed(`not valid CBOR: ${why.replace(/^CBOR decode error: /, '')}`);
  }
}
