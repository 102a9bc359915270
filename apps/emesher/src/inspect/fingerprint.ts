import { randomBytes } from 'node:crypto';

/**
 * Two numbers of 32 bits that stand for a text: equal texts have equal ones, others hardly ever.
 * Who is led somewhere by them reads what lies there and compares. Seeded anew in each process, so
 * that nobody can prepare texts that are taken for each other.
 */
export class Fingerprint {
  readonly #p = secretOdd();
  readonly #q = secretOdd();
  /** Of the text that `take` was last called with; the high half is an independent mix. */
  low = 0;
  high = 0;

  take(text: string): void {
    const p = this.#p;
    const q = this.#q;
    let a = p ^ text.length;
    let b = q;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      a = Math.imul(a ^ code, p);
      b = Math.imul(b ^ code ^ (a >>> 15), q);
    }
    this.low = (a ^ (b >>> 16)) >>> 0;
    this.high = (b ^ (a >>> 16)) >>> 0;
  }
}

/** Multiplication by an odd number loses nothing. */
const secretOdd = (): number => randomBytes(4).readInt32LE(0) | 1;
