// Node has these since 0.11; its published types leave them out. They skip the encoding lookup of
// toString/write and are the fastest way between V8 strings and bytes.
declare global {
  interface Buffer {
    utf8Slice(start: number, end: number): string;
    latin1Slice(start: number, end: number): string;
    utf8Write(text: string, offset: number, length: number): number;
  }
}
export {};
