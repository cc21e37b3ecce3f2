import { createContext, useContext } from 'react'
import type { ConversationRuntime } from './runtime'

export interface Editing {
  id: string
  parentId: string | null
  content: string
}

export interface Talk {
  runtime: ConversationRuntime
  edit: (message: Editing) => void
  /** A reply is being written somewhere in this conversation. */
  isAnswering: boolean
  /** A reply can be asked for: none is being written here, and no limit holds. */
  mayAsk: boolean
  /** The message whose bookmark's note is being written. */
  noted: string | null
  noteBookmark: (id: string | null) => void
}

export const TalkContext = createContext<Talk | null>(null)

export function useTalk(): Talk {
  const talk = useContext(TalkContext)
  if (talk === null) throw new Error('A message stands outside of a conversation.')
  return talk
}
