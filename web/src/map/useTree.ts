import { useEffect, useMemo, useState } from 'react'
import { api } from '../api/client'
import { inWords } from '../api/problems'
import { withRetries } from '../api/retrying'
import type { Conversation, Message } from '../api/types'
import type { ConversationState } from '../conversation/state'
import { type TreeNode, wordsOf } from './folding'

const PAGE = 1000

interface Fetched {
  nodes: ReadonlyMap<string, TreeNode>
  /** The place of the newest of them. */
  until: number
  /** The place of the conversation they were fetched for. */
  at: number
  isWhole: boolean
}

const nothing: Fetched = { nodes: new Map(), until: 0, at: -1, isWhole: false }

function nodeOf({ id, parent_id, seq, role, status, content, bookmark }: Message): TreeNode {
  return { id, parentId: parent_id, seq, role, status, words: wordsOf(content), bookmark: bookmark ?? null }
}

/** What came after `known`, page by page; each is shown as it comes. */
async function fetchOn(
  id: string,
  { known, at, isWanted }: { known: Fetched; at: number; isWanted: () => boolean },
  show: (fetched: Fetched) => void,
): Promise<Fetched> {
  let fetched = { ...known, at, isWhole: false }
  for (let after: number | null = known.until; after !== null && isWanted(); ) {
    const place: number = after
    const page = await withRetries(() => api.tree(id, place, PAGE))
    const nodes = new Map(fetched.nodes)
    for (const message of page.items) nodes.set(message.id, nodeOf(message))
    fetched = { nodes, until: page.items.at(-1)?.seq ?? fetched.until, at, isWhole: page.next === null }
    after = page.next
    if (isWanted()) show(fetched)
  }
  return fetched
}

/** What the conversation's own news say more newly than the fetched tree does. */
function withNews(nodes: ReadonlyMap<string, TreeNode>, state: ConversationState): Map<string, TreeNode> {
  const newer = new Map<string, TreeNode>()
  const gone = new Set<string>()
  for (const node of [...nodes.values()].sort((a, b) => a.seq - b.seq)) {
    const message = state.messages.get(node.id)
    if (
      (message !== undefined && message.deleted_at !== null) ||
      (node.parentId && gone.has(node.parentId))
    ) {
      gone.add(node.id)
    } else {
      newer.set(node.id, message === undefined ? node : nodeOf(message))
    }
  }
  return newer
}

export interface Tree {
  nodes: ReadonlyMap<string, TreeNode>
  isLoading: boolean
  problem: string | null
  retry: () => void
}

/** Every message of every branch; what is added is fetched as it is told, and all when something came back. */
export function useTree(conversation: Conversation, state: ConversationState): Tree {
  const { id, seq, message_count } = conversation
  const [fetched, setFetched] = useState(nothing)
  const [problem, setProblem] = useState<string | null>(null)
  const [tries, setTries] = useState(0)

  // biome-ignore lint/correctness/useExhaustiveDependencies: fetched again for another place, or by hand
  useEffect(() => {
    let isWanted = true
    const fetchAll = async () => {
      const how = { at: seq, isWanted: () => isWanted }
      const more = await fetchOn(id, { ...how, known: fetched }, setFetched)
      // A branch that was taken out, or came back, is not among what was added.
      if (isWanted && more.isWhole && more.nodes.size !== message_count && fetched !== nothing) {
        await fetchOn(id, { ...how, known: nothing }, setFetched)
      }
    }
    // Several things told at once are asked for once.
    const timer = setTimeout(
      () => {
        setProblem(null)
        fetchAll().catch((error: unknown) => isWanted && setProblem(inWords(error)))
      },
      fetched === nothing ? 0 : 150,
    )
    return () => {
      isWanted = false
      clearTimeout(timer)
    }
  }, [id, seq, tries])

  const nodes = useMemo(() => withNews(fetched.nodes, state), [fetched, state])
  return {
    nodes,
    isLoading: !fetched.isWhole && problem === null,
    problem,
    retry: () => setTries(tries + 1),
  }
}
