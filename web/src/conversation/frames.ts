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

/** A hidden page gets no frames, yet its text must go on. */
function onNextFrame(work: () => void): () => void {
  if (document.visibilityState === 'visible') {
    const frame = requestAnimationFrame(work)
    return () => cancelAnimationFrame(frame)
  }
  const timer = setTimeout(work, 100)
  return () => clearTimeout(timer)
}
