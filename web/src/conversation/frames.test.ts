import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FrameQueue } from './frames'

describe('what comes between two frames', () => {
  let frames: FrameRequestCallback[] = []
  const draw = () => {
    for (const frame of frames.splice(0)) frame(0)
  }

  beforeEach(() => {
    vi.useFakeTimers()
    frames = []
    vi.stubGlobal('requestAnimationFrame', (frame: FrameRequestCallback) => frames.push(frame))
    vi.stubGlobal('cancelAnimationFrame', (id: number) => {
      frames = frames.filter((_, at) => at !== id - 1)
    })
  })
  afterEach(() => void vi.useRealTimers())

  function queue() {
    const taken: number[][] = []
    return { taken, queue: new FrameQueue<number>((items) => taken.push(items)) }
  }

  it('is taken together, with the next frame', () => {
    const { taken, queue: waiting } = queue()
    waiting.push(1)
    waiting.push(2)
    expect(taken).toEqual([])
    draw()
    vi.advanceTimersByTime(5000)
    expect(taken).toEqual([[1, 2]])
  })

  it('is taken although the page is hidden before the frame that was asked for', () => {
    const { taken, queue: waiting } = queue()
    waiting.push(1)
    // From here on the browser draws nothing.
    vi.advanceTimersByTime(500)
    expect(taken).toEqual([[1]])
    waiting.push(2)
    vi.advanceTimersByTime(500)
    expect(taken).toEqual([[1], [2]])
    draw()
    expect(taken).toEqual([[1], [2]])
  })

  it('is not taken once it was dropped', () => {
    const { taken, queue: waiting } = queue()
    waiting.push(1)
    waiting.clear()
    draw()
    vi.advanceTimersByTime(500)
    expect(taken).toEqual([])
  })
})
