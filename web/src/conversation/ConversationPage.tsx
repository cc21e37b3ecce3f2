import { useRouterState } from '@tanstack/react-router'
import { lazy, Suspense, useCallback, useEffect, useMemo, useState } from 'react'
import { account as ofPage } from '../api/account'
import { NotFound } from '../app/NotFound'
import { shelfOf } from '../lists/ordering'
import { useStore } from '../stores/store'
import { Boundary } from '../ui/Boundary'
import { CannotBeShown } from '../ui/CannotBeShown'
import { titleOf } from '../ui/titles'
import { AnsweringLine } from './AnsweringLine'
import { Composer } from './Composer'
import { ConversationHead } from './ConversationHead'
import { EmptyConversation } from './EmptyConversation'
import { FinishedReplies } from './FinishedReplies'
import { LoadingColumn } from './LoadingColumn'
import { LoadingFailed } from './LoadingFailed'
import { MessageList } from './MessageList'
import { replyLimit } from './replyLimit'
import { type Editing, TalkContext } from './TalkContext'
import { TalkNotices } from './TalkNotices'
import { useConversation } from './useConversation'
import { useSidePanel } from './useSidePanel'
import { useTalkShortcuts } from './useTalkShortcuts'

// Fetched once they are wanted.
const Sheet = lazy(() => import('../ui/Sheet').then(({ Sheet }) => ({ default: Sheet })))
const BranchPanel = lazy(() => import('../map/BranchPanel').then((found) => ({ default: found.BranchPanel })))
const PutAwayNotice = lazy(() =>
  import('./PutAwayNotice').then((found) => ({ default: found.PutAwayNotice })),
)

interface ConversationPageProps {
  id: string
  /** The message that a link leads to. */
  messageId: string | null
}

export function ConversationPage({ id, messageId }: ConversationPageProps) {
  const snapshot = useConversation(id)
  const { phase, problem, state, view, runtime } = snapshot
  const [editing, setEditing] = useState<Editing | null>(null)
  const [noted, noteBookmark] = useState<string | null>(null)
  const account = useStore(ofPage)
  const isAnswering = view.running !== null
  const limit = useStore(replyLimit)
  const mayAsk = !isAnswering && limit === null
  const talk = useMemo(
    () => ({ runtime, edit: setEditing, isAnswering, mayAsk, noted, noteBookmark }),
    [runtime, isAnswering, mayAsk, noted],
  )

  const side = useSidePanel()
  const { leaveSheet } = side
  const jump = useCallback(
    (to: string) => {
      leaveSheet()
      void runtime.reading.jumpTo(to)
    },
    [runtime, leaveSheet],
  )

  // The same link may be followed twice.
  const visit = useRouterState({ select: ({ location }) => location.state.__TSR_key })
  // biome-ignore lint/correctness/useExhaustiveDependencies: another visit to the same place jumps again
  useEffect(() => {
    if (messageId !== null) void runtime.reading.jumpTo(messageId)
  }, [messageId, runtime, visit])

  useTalkShortcuts({ snapshot, runtime, panel: side, mayAsk, editing, onEdit: setEditing })

  if (phase === 'missing') return <NotFound />
  if (phase === 'failed') return <LoadingFailed problem={problem ?? ''} onRetry={() => void runtime.load()} />

  const isLoading = phase === 'loading'
  const { conversation } = state
  const send = (text: string) => {
    const isTaken = runtime.send(text, editing === null ? undefined : editing.parentId)
    if (isTaken) setEditing(null)
    return isTaken
  }
  const panel = conversation !== null && side.isOpen && (
    <Boundary of={id} fallback={(error) => <CannotBeShown what="This panel" error={error} />}>
      <BranchPanel
        conversation={conversation}
        state={state}
        runtime={runtime}
        onJump={jump}
        onClose={() => side.turn(false)}
      />
    </Boundary>
  )

  return (
    <TalkContext.Provider value={talk}>
      <title>{isLoading ? 'Talekeeper' : `${titleOf(conversation)} · Talekeeper`}</title>
      <div className="flex min-h-0 flex-1">
        <div className="relative flex min-w-0 flex-1 flex-col">
          {isLoading ? (
            <LoadingColumn />
          ) : (
            <>
              <ConversationHead
                conversation={conversation}
                isPanelOpen={side.isOpen}
                panelButton={side.button}
                onPanel={() => side.turn(!side.isOpen)}
              />
              {conversation !== null && shelfOf(conversation) !== 'active' && (
                <Suspense>
                  <PutAwayNotice conversation={conversation} />
                </Suspense>
              )}
              {view.lines.length === 0 ? <EmptyConversation /> : <MessageList {...snapshot} />}
            </>
          )}
          <footer className="border-t border-rule pt-2 pb-[max(0.5rem,env(safe-area-inset-bottom))]">
            <div className="column">
              <TalkNotices snapshot={snapshot} runtime={runtime} />
              <Composer
                key={editing?.id ?? (isLoading || account === null ? 'loading' : 'draft')}
                conversationId={id}
                account={account}
                isLoading={isLoading}
                isAnswering={isAnswering}
                editing={editing}
                onSend={send}
                onStop={() => void runtime.stop()}
                onLeaveEditing={() => setEditing(null)}
              />
              <Boundary of={conversation} fallback={() => null}>
                <AnsweringLine
                  conversation={conversation}
                  onChoose={(choice) => void runtime.changeConversation(choice)}
                />
              </Boundary>
            </div>
          </footer>
        </div>
        {panel && side.isRoomy && (
          <aside
            aria-label="Branches and bookmarks"
            data-panel=""
            className="flex w-84 shrink-0 flex-col border-l border-rule bg-leaf"
          >
            <Suspense>{panel}</Suspense>
          </aside>
        )}
        {panel && !side.isRoomy && (
          <Suspense>
            <Sheet open onOpenChange={side.turn} title="Branches and bookmarks" side="right">
              {panel}
            </Sheet>
          </Suspense>
        )}
      </div>
      <FinishedReplies view={view} />
    </TalkContext.Provider>
  )
}
