import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Frame, frameReader, openStream } from './sse'

function read(...pieces: string[]): Frame[] {
  const frames: Frame[] = []
  const take = frameReader((frame) => frames.push(frame))
  for (const piece of pieces) take(piece)
  return frames
}

describe('frames', () => {
  it('are the same however the text is cut', () => {
    const text = 'event: delta\nid: 7.g.3\ndata: {"a":1}\n\n: beat\n\ndata: x\r\ndata: y\r\n\r\n'
    const whole = read(text)
    expect(whole).toEqual([
      { event: 'delta', data: '{"a":1}', id: '7.g.3' },
      { event: 'message', data: 'x\ny', id: '7.g.3' },
    ])
    expect(read(...text)).toEqual(whole)
  })

  it('without data are not told', () => {
    expect(read('event: delta\n\n', ': beat\n\n')).toEqual([])
  })
})

function answering(...bodies: string[]) {
  const heard: Array<string | null> = []
  vi.stubGlobal(
    'fetch',
    vi.fn((_url: string, init: RequestInit) => {
      heard.push(new Headers(init.headers).get('Last-Event-ID'))
      const body = bodies.shift()
      return Promise.resolve(body === undefined ? new Response(null, { status: 401 }) : new Response(body))
    }),
  )
  return heard
}

describe('a stream', () => {
  afterEach(() => vi.useRealTimers())

  it('that ends is opened again where it is asked to go on, until it is refused', async () => {
    vi.useFakeTimers()
    const heard = answering('id: 1\ndata: one\n\n', 'id: 2\ndata: two\n\n')
    const frames: string[] = []
    const lost: number[] = []
    let last: string | null = null
    openStream({
      ask: () => ({ url: '/api/events', lastEventId: last }),
      onFrame: (frame) => {
        last = frame.id
        frames.push(frame.data)
      },
      onLost: (status) => lost.push(status),
    })
    await vi.advanceTimersByTimeAsync(10_000)
    expect(frames).toEqual(['one', 'two'])
    expect(heard).toEqual([null, '1', '2'])
    expect(lost).toEqual([200, 200, 401])
  })

  it('that meets a limit waits as long as it is told to', async () => {
    vi.useFakeTimers()
    const asked = vi.fn(async () => new Response(null, { status: 429, headers: { 'Retry-After': '20' } }))
    vi.stubGlobal('fetch', asked)
    const lost: number[] = []
    const close = openStream({
      ask: () => ({ url: '/', lastEventId: null }),
      onFrame: () => {},
      onLost: (status) => lost.push(status),
    })
    await vi.advanceTimersByTimeAsync(19_000)
    expect(asked).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(2_000)
    expect(asked).toHaveBeenCalledTimes(2)
    expect(lost).toEqual([429, 429])
    close()
  })

  it('that falls silent is given up', async () => {
    vi.useFakeTimers()
    vi.stubGlobal(
      'fetch',
      vi.fn((_url: string, init: RequestInit) => {
        const body = new ReadableStream({
          start: (controller) =>
            init.signal?.addEventListener('abort', () => controller.error(new Error('aborted'))),
        })
        return Promise.resolve(new Response(body))
      }),
    )
    const lost: number[] = []
    const close = openStream({
      ask: () => ({ url: '/', lastEventId: null }),
      onFrame: () => {},
      onLost: (status) => lost.push(status),
      heartbeat: 1000,
    })
    await vi.advanceTimersByTimeAsync(1100)
    expect(lost).toEqual([0])
    close()
  })
})
