/** Web Locks and broadcast channels as far as tabs of one browser need them, for tests. */

type Work = () => unknown

interface InLine {
  run: Work
  resolve: (value: unknown) => void
  reject: (reason: unknown) => void
}

interface Wish {
  steal?: boolean
  signal?: AbortSignal
}

/** One holder a name, the rest in line. */
export function lockManager() {
  const lines = new Map<string, InLine[]>()

  async function begin(name: string, first: InLine) {
    try {
      const value = await first.run()
      first.resolve(value)
    } catch (error) {
      first.reject(error)
    }
    const line = lines.get(name)
    if (line?.[0] === first) next(name)
  }

  function next(name: string) {
    const line = lines.get(name) ?? []
    line.shift()
    if (line[0] === undefined) lines.delete(name)
    else void begin(name, line[0])
  }

  return {
    request(name: string, a: Work | Wish, b?: Work): Promise<unknown> {
      const run = (b ?? a) as Work
      const wish = b === undefined ? {} : (a as Wish)
      return new Promise((resolve, reject) => {
        const mine = { run, resolve, reject }
        const line = lines.get(name) ?? []
        lines.set(name, line)
        if (wish.steal && line[0] !== undefined) {
          line[0].reject(new DOMException('stolen', 'AbortError'))
          line[0] = mine
          void begin(name, mine)
          return
        }
        line.push(mine)
        wish.signal?.addEventListener('abort', () => {
          const at = line.indexOf(mine)
          if (at < 1) return
          line.splice(at, 1)
          reject(new DOMException('aborted', 'AbortError'))
        })
        if (line.length === 1) void begin(name, mine)
      })
    },
    query: async () => ({ held: [...lines.keys()].map((name) => ({ name })) }),
    /** The holder's tab is gone. */
    release: next,
  }
}

/** Makes the ends of one channel; what is posted at one is heard at all others. */
export function channels() {
  const all: Array<{ hear?: (message: { data: unknown }) => void }> = []
  return () => {
    const mine: { hear?: (message: { data: unknown }) => void } = {}
    all.push(mine)
    return {
      addEventListener: (_: string, hear: (message: { data: unknown }) => void) => {
        mine.hear = hear
      },
      postMessage: (data: unknown) => {
        for (const each of all) if (each !== mine) each.hear?.({ data: structuredClone(data) })
      },
    } as unknown as BroadcastChannel
  }
}
