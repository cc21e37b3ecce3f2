/** Gathers what comes and hands it over once a frame, however much it is. */
export class FrameQueue<Item> {
  private items: Item[] = []
  private cancel: (() => void) | null = null

  constructor(private readonly take: (items: Item[]) => void) {}

  push(item: Item): void {
    this.items.push(item)
    this.cancel ??= onNextFrame(() => {
      const items = this.items
      this.clear()
      this.take(items)
    })
  }

  clear(): void {
    this.cancel?.()
    this.cancel = null
    this.items = []
  }
}

/** Milliseconds; the longest that something waits for a frame. */
const LONGEST = 100

/**
 * Call `work` with the next frame, or after `LONGEST` without one: a page that is hidden gets no frames,
 * not even one that it asked for before.
 */
function onNextFrame(work: () => void): () => void {
  const cancel = () => {
    cancelAnimationFrame(frame)
    clearTimeout(timer)
  }
  const frame = requestAnimationFrame(work)
  const timer = setTimeout(work, LONGEST)
  return cancel
}
