/** When to start a server again that has crashed: soon, then later and later, and at last not at all. */

const DELAYS_MS = [500, 1000, 2000, 4000, 8000]
/** A crash so long ago says nothing about the next one. */
const FORGET_AFTER_MS = 180_000

export class BackOff {
  private crashes: number[] = []

  constructor(private readonly now: () => number = Date.now) {}

  /** Hear of a crash; returns how long to wait, or undefined when it has crashed too often. */
  crashed(): number | undefined {
    const now = this.now()
    this.crashes = [...this.crashes.filter((at) => now - at < FORGET_AFTER_MS), now]
    return DELAYS_MS[this.crashes.length - 1]
  }

  /** Begin anew: somebody has started the server by hand. */
  reset(): void {
    this.crashes = []
  }
}
