/**
 * The part of CBOR (RFC 8949) that payloads use, over cborg: integers from 0, byte and text strings,
 * arrays, maps with text keys, true, false and null, of definite length and in the shortest form.
 * Everything else is refused, also below keys that are not known.
 */
import { isUtf8 } from 'node:buffer';
import { encode, Tokenizer, tokensToObject, Type, type Token } from 'cborg';
import { malformed } from './fields.js';

const OPTIONS = {
  strict: true,
  useMaps: true,
  rejectDuplicateMapKeys: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowBigInt: false,
  allowInfinity: false,
  allowNaN: false,
  retainStringBytes: true,
};

// A map keeps its order: that of RPFL's files is a ranking. cborg would sort it.
const ENCODE = { mapSorter: undefined } as object;

const NO_BYTES = new Uint8Array(0);

class StrictTokenizer extends Tokenizer {
  override next(): Token {
    const token = super.next();
    switch (token.type) {
      case Type.string:
        return strictText(token);
      case Type.negint:
      case Type.float:
      case Type.break:
        throw new Error(`a ${token.type.name}`);
    }
    return token;
  }
}

/** cborg reads text as TextDecoder does by default: it drops a first U+FEFF and replaces what is not UTF-8. */
function strictText(token: Token): Token {
  const bytes = token.byteValue ?? NO_BYTES;
  const text = String(token.value);
  // U+FFFD stands for what is not UTF-8, so only a text that holds one can be bad.
  if (text.includes('\ufffd') && !isUtf8(bytes)) throw new Error('a text is not UTF-8');
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) token.value = `\ufeff${text}`;
  return token;
}

function requireTextKeys(value: unknown): void {
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object') requireTextKeys(item);
  } else if (value instanceof Map) {
    for (const [key, item] of value) {
      if (typeof key !== 'string') throw new Error('a map key is not a text');
      if (typeof item === 'object') requireTextKeys(item);
    }
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
    if (data.length === 0) throw new Error('nothing');
    const tokenizer = new StrictTokenizer(data, OPTIONS);
    const value: unknown = tokensToObject(tokenizer, OPTIONS);
    if (!tokenizer.done()) throw new Error('more than one item');
    requireTextKeys(value);
    return value;
  } catch (error) {
    // Nesting deep enough to exhaust the stack is one more way to be malformed.
    const why = error instanceof RangeError ? 'nested too deep' : (error as Error).message;
    throw malformed(`not valid CBOR: ${why.replace(/^CBOR decode error: /, '')}`);
  }
}
