import { describe, expect, it } from 'vitest'
import type { LocalModel } from '../api/types'
import { factsOfModel, machineOf, progressOf, sourceOf } from './localModels'

const offered: LocalModel = {
  name: 'bard-1b',
  title: 'Bard 1B',
  state: 'offered',
  parameters: '1 billion',
  licence: 'MIT',
  address: 'https://example.org/bard.gguf',
  size: 1_100_000_000,
  done: 0,
  memory: 1_700_000_000,
  window: null,
  fit: 'tight',
  checked: null,
  trouble: null,
  is_listed: true,
  is_built_in: false,
}

describe('a model of the machine of the server', () => {
  it('says what it takes and whether it fits', () => {
    expect(factsOfModel(offered)).toEqual([
      '1 billion',
      '1.1 GB',
      'needs 1.7 GB of memory',
      'tight here',
      'MIT',
    ])
  })

  it('says that its file was compared with nothing, once it is there', () => {
    const kept: LocalModel = { ...offered, state: 'kept' }
    expect(factsOfModel(kept).at(-1)).toBe('not compared with a SHA-256')
    expect(factsOfModel({ ...kept, checked: 'list' }).at(-1)).toBe('MIT')
    expect(factsOfModel({ ...kept, is_built_in: true }).at(-1)).toBe('MIT')
  })

  it('says how far its download is, with and without a known size', () => {
    const half: LocalModel = { ...offered, state: 'downloading', done: 550_000_000 }
    expect(progressOf(offered)).toBeNull()
    expect(progressOf(half)).toBe('Downloading: 50 %, 550 MB of 1.1 GB')
    expect(progressOf({ ...half, size: null })).toBe('Downloading: 550 MB')
    expect(progressOf({ ...half, state: 'stopped' })).toBe('Stopped: 50 % is here')
  })

  it('is added again by its name in the list, else by where its file is', () => {
    expect(sourceOf(offered)).toBe('bard-1b')
    expect(sourceOf({ ...offered, is_listed: false })).toBe('https://example.org/bard.gguf')
    expect(sourceOf({ ...offered, is_listed: false, address: 'file:/data/b.gguf' })).toBe('/data/b.gguf')
  })

  it('stands beside what the machine has, as far as that is known', () => {
    const machine = { memory: 8_200_000_000, free_memory: 4_900_000_000, free_disk: null, items: [] }
    expect(machineOf(machine)).toBe("The server's machine has 8.2 GB of memory, 4.9 GB of it free.")
    expect(machineOf({ ...machine, free_memory: null, free_disk: 61e9 })).toBe(
      "The server's machine has 8.2 GB of memory, and 61.0 GB of free disk.",
    )
  })
})
