/** What the server that has no file sends. */
export const MEMORY_BYTE = 7;
