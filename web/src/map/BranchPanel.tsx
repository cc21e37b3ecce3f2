import { X } from 'lucide-react'
import { Tabs } from 'radix-ui'
import type { Conversation } from '../api/types'
import type { ConversationRuntime } from '../conversation/runtime'
import type { ConversationState } from '../conversation/state'
import { Button } from '../ui/Button'
import { IconButton } from '../ui/IconButton'
import { keep, useKept } from '../ui/kept'
import { BookmarkList } from './BookmarkList'
import { BranchMap } from './BranchMap'
import { useTree } from './useTree'

interface BranchPanelProps {
  conversation: Conversation
  state: ConversationState
  runtime: ConversationRuntime
  onJump: (id: string) => void
  onClose: () => void
}

const tab =
  'border-b-2 border-transparent px-1 pt-3 pb-2 text-label text-quiet hover:text-ink data-[state=active]:border-accent data-[state=active]:font-semibold data-[state=active]:text-ink pointer-coarse:min-h-11'

function WholeMap({ conversation, state, onJump }: Omit<BranchPanelProps, 'onClose' | 'runtime'>) {
  const tree = useTree(conversation, state)
  return (
    <>
      {tree.nodes.size === 0 && !tree.isLoading && tree.problem === null ? (
        <p className="px-4 pt-3 text-label leading-relaxed text-quiet">
          Nothing was said yet. Each other reply and each edit begins a branch, and all of them stand here.
        </p>
      ) : (
        <BranchMap nodes={tree.nodes} tip={state.tip} onJump={onJump} />
      )}
      {tree.isLoading && (
        <p role="status" className="border-t border-rule px-4 py-2 text-note text-faint">
          {tree.nodes.size === 0
            ? 'Loading the map…'
            : `${tree.nodes.size.toLocaleString('en')} messages so far…`}
        </p>
      )}
      {tree.problem !== null && (
        <p role="alert" className="flex items-center gap-3 border-t border-rule px-4 py-2 text-label">
          <span className="flex-1">The map could not be loaded whole. {tree.problem}</span>
          <Button onClick={tree.retry}>Retry</Button>
        </p>
      )}
    </>
  )
}

/** What belongs to the conversation at hand: the map of its branches, and its bookmarks. */
export function BranchPanel({ onClose, runtime, ...rest }: BranchPanelProps) {
  const shown = useKept('panel.tab') === 'bookmarks' ? 'bookmarks' : 'map'
  return (
    <Tabs.Root
      value={shown}
      onValueChange={(value) => keep('panel.tab', value)}
      className="flex min-h-0 flex-1 flex-col"
    >
      <div className="flex items-start justify-between border-b border-rule pr-2 pl-4">
        <Tabs.List aria-label="What the panel shows" className="-mb-px flex gap-4">
          <Tabs.Trigger value="map" className={tab}>
            Branches
          </Tabs.Trigger>
          <Tabs.Trigger value="bookmarks" className={tab}>
            Bookmarks
          </Tabs.Trigger>
        </Tabs.List>
        <IconButton icon={X} label="Close the panel" onClick={onClose} className="mt-2" />
      </div>
      <Tabs.Content value="map" tabIndex={-1} className="flex min-h-0 flex-1 flex-col pt-1.5 outline-none">
        <WholeMap {...rest} />
      </Tabs.Content>
      <Tabs.Content
        value="bookmarks"
        tabIndex={-1}
        className="flex min-h-0 flex-1 flex-col pt-1.5 outline-none"
      >
        <BookmarkList
          conversation={rest.conversation}
          onJump={rest.onJump}
          onRemove={(id) => void runtime.setBookmark(id, null)}
        />
      </Tabs.Content>
    </Tabs.Root>
  )
}
