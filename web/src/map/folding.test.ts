import { describe, expect, it } from 'vitest'
import { foldedTree, type MapRow, pathIn, type TreeNode, wordsOf } from './folding'

/** `a b c/b d` is a chain a-b-c, and d beside c under b. */
function tree(text: string, bookmarked: string[] = []): Map<string, TreeNode> {
  const nodes = new Map<string, TreeNode>()
  for (const branch of text.split('/')) {
    let parentId: string | null = null
    for (const id of branch.split(' ').filter(Boolean)) {
      if (!nodes.has(id)) {
        nodes.set(id, {
          id,
          parentId,
          seq: nodes.size + 1,
          role: 'user',
          status: 'complete',
          words: id,
          bookmark: bookmarked.includes(id) ? '' : null,
        })
      }
      parentId = id
    }
  }
  return nodes
}

function drawn(rows: readonly MapRow[]): string[] {
  return rows.map((row) => {
    const words = row.kind === 'run' ? `(${row.count})` : row.node.id
    const place = row.kind === 'message' && row.siblings > 1 ? ` ${row.place}/${row.siblings}` : ''
    return `${'-'.repeat(row.depth)}${row.isOnPath ? '*' : ''}${words}${place}`
  })
}

function map(nodes: Map<string, TreeNode>, tip: string, opened: string[] = []): string[] {
  return drawn(foldedTree(nodes, pathIn(nodes, tip), new Set(opened)))
}

describe('the map of branches', () => {
  it('is one straight line, folded, where nothing branches', () => {
    expect(map(tree('a b c d e'), 'e')).toEqual(['*a', '*(3)', '*e'])
    expect(map(tree('a b c'), 'c')).toEqual(['*a', '*b', '*c'])
    expect(map(tree(''), 'x')).toEqual([])
  })

  it('runs along the path one reads, with the other branches before it and further in', () => {
    const nodes = tree('a b c d/b e f/b g')
    expect(map(nodes, 'd')).toEqual(['*a', '*b', '-e 2/3', '-f', '-g 3/3', '*c 1/3', '*d'])
    expect(map(nodes, 'f')).toEqual(['*a', '*b', '-c 1/3', '-d', '-g 3/3', '*e 2/3', '*f'])
  })

  it('follows the newest message where a branch has left the path', () => {
    const nodes = tree('a b/a c d/c e/b f')
    expect(map(nodes, 'a')).toEqual(['*a', '-c 2/2', '--d 1/2', '-e 2/2', 'b 1/2', 'f'])
  })

  it('opens a run by its first message and keeps what is bookmarked out of it', () => {
    expect(map(tree('a b c d e', ['c']), 'e')).toEqual(['*a', '*b', '*c', '*d', '*e'])
    expect(map(tree('a b c d e f g', ['e']), 'g')).toEqual(['*a', '*(3)', '*e', '*f', '*g'])
    expect(map(tree('a b c d e'), 'e', ['b'])).toEqual(['*a', '*b', '*c', '*d', '*e'])
  })

  it('shows every root, and what has lost its parent as one', () => {
    const nodes = tree('a b/c d')
    nodes.delete('c')
    expect(map(nodes, 'b')).toEqual(['-d 2/2', '*a 1/2', '*b'])
  })

  it('comes to an end where messages are each others parents', () => {
    const nodes = tree('a b c')
    for (const [id, parentId] of [
      ['a', 'c'],
      ['b', 'b'],
    ] as const) {
      nodes.set(id, { ...(nodes.get(id) as TreeNode), parentId })
    }
    const shown = foldedTree(nodes, pathIn(nodes, 'c'), new Set())
    expect(shown.flatMap((row) => (row.kind === 'message' ? [row.node.id] : [])).sort()).toEqual([
      'a',
      'b',
      'c',
    ])
  })

  it('holds every message exactly once, however the tree branches', () => {
    let seed = 7
    const random = (below: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648
      return seed % below
    }
    for (let round = 0; round < 40; round++) {
      const nodes = new Map<string, TreeNode>()
      const size = 1 + random(60)
      for (let i = 0; i < size; i++) {
        const parentId = i === 0 || random(12) === 0 ? null : `m${random(3) === 0 ? random(i) : i - 1}`
        const bookmark = random(9) === 0 ? '' : null
        nodes.set(`m${i}`, {
          id: `m${i}`,
          parentId,
          seq: i,
          role: 'user',
          status: 'complete',
          words: '',
          bookmark,
        })
      }
      const path = pathIn(nodes, `m${random(size)}`)
      const rows = foldedTree(nodes, path, new Set())
      const hidden = rows.reduce((sum, row) => sum + (row.kind === 'run' ? row.count : 0), 0)
      const shown = rows.flatMap((row) => (row.kind === 'message' ? [row.node.id] : []))
      expect(new Set(shown).size).toBe(shown.length)
      expect(shown.length + hidden).toBe(size)
      expect(rows.every((row) => !row.isOnPath || row.depth === 0)).toBe(true)
      expect(new Set(rows.map((row) => row.key)).size).toBe(rows.length)
    }
  })

  it('draws ten thousand messages without a wait', () => {
    const nodes = new Map<string, TreeNode>()
    for (let i = 0; i < 10_000; i++) {
      const parentId = i === 0 ? null : `m${i % 10 === 0 ? Math.max(0, i - 7) : i - 1}`
      nodes.set(`m${i}`, {
        id: `m${i}`,
        parentId,
        seq: i,
        role: 'user',
        status: 'complete',
        words: '',
        bookmark: null,
      })
    }
    const path = pathIn(nodes, 'm9999')
    foldedTree(nodes, path, new Set())
    const began = performance.now()
    const rows = foldedTree(nodes, path, new Set())
    // Ten times what an idle machine takes: it may be busy.
    expect(performance.now() - began).toBeLessThan(1000)
    expect(rows.length).toBeGreaterThan(2000)
  })
})

describe('the words of a line', () => {
  it('are plain, on one line, and few', () => {
    expect(wordsOf('# The *mill*\n\n> "turns"')).toBe('The mill "turns"')
    expect(wordsOf('word '.repeat(60))).toHaveLength(90)
  })
})
