/** The callbacks that one kind of news goes to. */
export class Listeners<News extends unknown[] = []> {
  private readonly all = new Set<(...news: News) => void>()

  /** Calls `listener` with every piece of news until the returned function is called. */
  readonly add = (listener: (...news: News) => void): (() => void) => {
    this.all.add(listener)
    return () => this.all.delete(listener)
  }

  /** A listener that is added or removed by another one counts from the next piece of news on. */
  tell(...news: News): void {
    for (const listener of [...this.all]) listener(...news)
  }
}
