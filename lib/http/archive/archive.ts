/** The form of an archive whose length is known before any of its files is read. */

/** A file to be packed. */
export interface Entry {
  /** In the archive, separated by `/`. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Seconds since 1970 when it was last changed. */
  readonly modified: number;
}

/** What stands around the files, which come in order. */
export interface Archive {
  /** Bytes of all of it. */
  readonly length: number;
  /** What stands before a file. */
  before(index: number): Uint8Array;
  /** What stands behind it. @param crc of its bytes, where `needsCrc` */
  after(index: number, crc: number): Uint8Array;
  /** Whether the CRC-32 of each file is needed behind it. */
  readonly needsCrc: boolean;
  /** What stands behind the last one. */
  end(): Iterable<Uint8Array>;
}
