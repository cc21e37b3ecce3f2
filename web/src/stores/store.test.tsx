import { act, render, screen } from '@testing-library/react'
import { describe, expect, it, vi } from 'vitest'
import { createStore, useStore } from './store'

describe('a store', () => {
  it('calls its listeners after a change, and not for the same value', () => {
    const store = createStore(1)
    const seen: number[] = []
    const leave = store.subscribe(() => seen.push(store.read()))
    store.write(2)
    store.write(2)
    leave()
    store.write(3)
    expect(seen).toEqual([2])
  })

  it('compares values as it was asked to', () => {
    const store = createStore({ words: 'a' }, (next, now) => next.words === now.words)
    const listener = vi.fn()
    store.subscribe(listener)
    store.write({ words: 'a' })
    expect(listener).not.toHaveBeenCalled()
    store.write({ words: 'b' })
    expect(listener).toHaveBeenCalledOnce()
  })

  it('calls every listener, even one that another removes meanwhile', () => {
    const store = createStore(1)
    const second = vi.fn()
    let leave = () => {}
    store.subscribe(() => leave())
    leave = store.subscribe(second)
    store.write(2)
    store.write(3)
    expect(second).toHaveBeenCalledOnce()
  })

  it('is shown by a component as it is now', () => {
    const store = createStore('before')
    function Shown() {
      return <p>{useStore(store)}</p>
    }
    render(<Shown />)
    act(() => store.write('after'))
    expect(screen.getByText('after')).toBeTruthy()
  })
})
