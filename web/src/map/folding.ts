/**
 * A tree of messages as the lines of its map.
 *
 * The path one reads runs straight down; at each fork the other branches come first, one step further in,
 * and then it goes on. Where a branch has left the path, its newest message is followed. What stands
 * between two forks is one line with a count, but for its ends and what is bookmarked.
 *
 * Total for any list: what has no parent in it, or one that was not stored before it, is a root.
 */
import type { Message } from '../api/types'
import { beginningOf, shortened } from '../ui/cutting'

export interface TreeNode {
  readonly id: string
  readonly parentId: string | null
  readonly seq: number
  readonly role: Message['role']
  readonly status: Message['status']
  /** The beginning of its text, in one line. */
  readonly words: string
  readonly bookmark: string | null
}

export interface MessageRow {
  kind: 'message'
  key: string
  node: TreeNode
  depth: number
  /** Which of how many in its place of the tree, from 1. */
  place: number
  siblings: number
  isOnPath: boolean
  /** The opened run it belongs to. */
  run: string | null
}

export interface RunRow {
  kind: 'run'
  key: string
  /** Its first message, by which it is opened. */
  run: string
  count: number
  depth: number
  isOnPath: boolean
}

export type MapRow = MessageRow | RunRow

const MOST_WORDS = 90

export function wordsOf(content: string): string {
  const line = beginningOf(content, 4 * MOST_WORDS)
    .replace(/[*_`#>|~]+/g, '')
    .replace(/\s+/g, ' ')
    .trim()
  return shortened(line, MOST_WORDS + 1)
}

interface Place {
  id: string
  depth: number
  place: number
  siblings: number
}

function childrenOf(nodes: ReadonlyMap<string, TreeNode>): Map<string | null, TreeNode[]> {
  const children = new Map<string | null, TreeNode[]>()
  for (const node of [...nodes.values()].sort((a, b) => a.seq - b.seq)) {
    const parent = node.parentId === null ? undefined : nodes.get(node.parentId)
    const key = parent !== undefined && parent.seq < node.seq ? parent.id : null
    const known = children.get(key)
    if (known === undefined) children.set(key, [node])
    else known.push(node)
  }
  return children
}

/** For each message the `seq` of the newest one under it. */
function newestUnder(
  nodes: ReadonlyMap<string, TreeNode>,
  children: ReadonlyMap<string | null, readonly TreeNode[]>,
): Map<string, number> {
  const newest = new Map<string, number>()
  for (const node of [...nodes.values()].sort((a, b) => b.seq - a.seq)) {
    const below = (children.get(node.id) ?? []).map((each) => newest.get(each.id) ?? each.seq)
    newest.set(
      node.id,
      below.reduce((most, each) => Math.max(most, each), node.seq),
    )
  }
  return newest
}

/** The messages from the root to `id`. */
export function pathIn(nodes: ReadonlyMap<string, TreeNode>, id: string | null): Set<string> {
  const path = new Set<string>()
  for (let at = id; at !== null && !path.has(at); at = nodes.get(at)?.parentId ?? null) {
    if (!nodes.has(at)) break
    path.add(at)
  }
  return path
}

export function foldedTree(
  nodes: ReadonlyMap<string, TreeNode>,
  path: ReadonlySet<string>,
  opened: ReadonlySet<string>,
): MapRow[] {
  const children = childrenOf(nodes)
  const newest = newestUnder(nodes, children)
  const rows: MapRow[] = []
  const waiting: Place[] = []

  /** The branch that goes straight on lies lowest, so it comes after the others. */
  const push = (all: readonly TreeNode[], depth: number) => {
    if (all.length === 0) return
    const main =
      all.find((each) => path.has(each.id)) ??
      all.reduce((a, b) => ((newest.get(b.id) ?? 0) > (newest.get(a.id) ?? 0) ? b : a))
    const places = all.map((each, index) => ({
      id: each.id,
      depth: each === main ? depth : depth + 1,
      place: index + 1,
      siblings: all.length,
    }))
    const straight = places.filter((each) => each.id === main.id)
    const aside = places.filter((each) => each.id !== main.id).reverse()
    waiting.push(...straight, ...aside)
  }

  push(children.get(null) ?? [], 0)
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const stretch: TreeNode[] = []
    let below: readonly TreeNode[] = []
    for (let at = nodes.get(next.id); at !== undefined; at = below[0]) {
      stretch.push(at)
      below = children.get(at.id) ?? []
      if (below.length !== 1) break
    }
    rows.push(...linesOf(stretch, next, path, opened))
    push(below, next.depth)
  }
  return rows
}

/** A stretch without forks as lines. */
function linesOf(
  stretch: readonly TreeNode[],
  { depth, place, siblings }: Place,
  path: ReadonlySet<string>,
  opened: ReadonlySet<string>,
): MapRow[] {
  const line = (node: TreeNode, run: string | null): MessageRow => ({
    kind: 'message',
    key: node.id,
    node,
    depth,
    place: node === stretch[0] ? place : 1,
    siblings: node === stretch[0] ? siblings : 1,
    isOnPath: path.has(node.id),
    run,
  })
  const rows: MapRow[] = []
  let hidden: TreeNode[] = []
  const flush = () => {
    const [first] = hidden
    if (first === undefined) return
    if (hidden.length === 1) rows.push(line(first, null))
    else if (opened.has(first.id)) for (const each of hidden) rows.push(line(each, first.id))
    else {
      rows.push({
        kind: 'run',
        key: `run:${first.id}`,
        run: first.id,
        count: hidden.length,
        depth,
        isOnPath: path.has(first.id),
      })
    }
    hidden = []
  }
  stretch.forEach((node, index) => {
    const isEnd = index === 0 || index === stretch.length - 1
    if (!isEnd && node.bookmark === null) {
      hidden.push(node)
      return
    }
    flush()
    rows.push(line(node, null))
  })
  return rows
}
