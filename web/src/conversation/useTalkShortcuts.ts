import { useShortcuts } from '../keyboard/useShortcuts'
import type { ConversationRuntime } from './runtime'
import type { Snapshot } from './screen'
import { isRunning } from './state'
import type { Editing } from './TalkContext'
import type { SidePanel } from './useSidePanel'
import type { SaidLine } from './view'

interface TalkShortcuts {
  snapshot: Snapshot
  runtime: ConversationRuntime
  panel: SidePanel
  /** A reply can be asked for now. */
  mayAsk: boolean
  editing: Editing | null
  onEdit: (editing: Editing | null) => void
}

/** The keys that act on the conversation on screen. */
export function useTalkShortcuts({ snapshot, runtime, panel, mayAsk, editing, onEdit }: TalkShortcuts): void {
  const { view, notice } = snapshot
  const isAnswering = view.running !== null
  const last = view.lines.findLast((line): line is SaidLine => line.kind === 'said')
  const step = (by: 1 | -1) => {
    const sibling = last?.siblings[last.siblings.indexOf(last.id) + by]
    if (sibling === undefined) return false
    void runtime.reading.switchTo(sibling)
  }
  const editLast = () => {
    const own = view.lines.findLast(
      (line): line is SaidLine => line.kind === 'said' && line.message.role === 'user',
    )
    if (own === undefined || editing !== null) return false
    onEdit({ id: own.id, parentId: own.message.parent_id, content: own.message.content })
  }
  const leave = () => {
    // What has the focus goes first.
    if (panel.isRoomy && panel.isOpen && document.activeElement?.closest('[data-panel]')) panel.turn(false)
    else if (editing !== null) onEdit(null)
    else if (isAnswering) void runtime.stop()
    else if (notice !== null) runtime.forgetNotice()
    else return false
  }
  useShortcuts({
    edit: editLast,
    before: () => step(-1),
    after: () => step(1),
    regenerate: () => {
      if (last === undefined || !mayAsk || last.message.role === 'system') return false
      void runtime.regenerate(last.id)
    },
    continue: () => {
      if (last === undefined || !mayAsk || last.message.role !== 'assistant' || last.text === '') return false
      if (!isRunning(last.message)) void runtime.continueReply(last.id)
    },
    panel: () => panel.turn(!panel.isOpen),
    leave,
  })
}
