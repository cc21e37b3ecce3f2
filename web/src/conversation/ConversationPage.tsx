import { useRouterState } from '@tanstack/react-router'
import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { account as ofPage } from '../api/account'
import { NotFound } from '../app/NotFound'
import { useShortcuts } from '../keyboard/useShortcuts'
import { shelfOf } from '../lists/ordering'
import { useStore } from '../stores/store'
import { Boundary } from '../ui/Boundary'
import { Button } from '../ui/Button'
import { CannotBeShown } from '../ui/CannotBeShown'
import { keep, useKept } from '../ui/kept'
import { titleOf } from '../ui/titles'
import { useRoom } from '../ui/useWide'
import { Composer } from './Composer'
import { ConversationHead } from './ConversationHead'
import { EmptyConversation } from './EmptyConversation'
import { FinishedReplies } from './FinishedReplies'
import { LoadingColumn } from './LoadingColumn'
import { LoadingFailed } from './LoadingFailed'
import { MessageList } from './MessageList'
import { Notice } from './Notice'
import { ProviderLine } from './ProviderLine'
import { isRunning } from './state'
import { type Editing, TalkContext } from './TalkContext'
import { useConversation } from './useConversation'
import type { SaidLine } from './view'

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
  const { phase, problem, reference, state, view, notice, runtime } = snapshot
  const [editing, setEditing] = useState<Editing | null>(null)
  const [noted, noteBookmark] = useState<string | null>(null)
  const account = useStore(ofPage)
  const isAnswering = view.running !== null
  const talk = useMemo(
    () => ({ runtime, edit: setEditing, isAnswering, noted, noteBookmark }),
    [runtime, isAnswering, noted],
  )

  // A panel beside the text stays open from one conversation to the next; a sheet over it does not.
  const isRoomy = useRoom('76rem')
  const isKeptOpen = useKept('panel') === 'open'
  const [isSheetOpen, setSheetOpen] = useState(false)
  const isPanelOpen = isRoomy ? isKeptOpen : isSheetOpen
  const panelButton = useRef<HTMLButtonElement>(null)
  const turnPanel = (open: boolean) => {
    if (isRoomy) keep('panel', open ? 'open' : null)
    else setSheetOpen(open)
    if (!open) panelButton.current?.focus()
  }
  const jump = useCallback(
    (to: string) => {
      setSheetOpen(false)
      void runtime.reading.jumpTo(to)
    },
    [runtime],
  )

  // The same link may be followed twice.
  const visit = useRouterState({ select: ({ location }) => location.state.__TSR_key })
  // biome-ignore lint/correctness/useExhaustiveDependencies: another visit to the same place jumps again
  useEffect(() => {
    if (messageId !== null) void runtime.reading.jumpTo(messageId)
  }, [messageId, runtime, visit])

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
    setEditing({ id: own.id, parentId: own.message.parent_id, content: own.message.content })
  }
  const leave = () => {
    // What has the focus goes first.
    if (isRoomy && isPanelOpen && document.activeElement?.closest('[data-panel]')) turnPanel(false)
    else if (editing !== null) setEditing(null)
    else if (isAnswering) void runtime.stop()
    else if (notice !== null) runtime.forgetNotice()
    else return false
  }
  useShortcuts({
    edit: editLast,
    before: () => step(-1),
    after: () => step(1),
    regenerate: () => {
      if (last === undefined || isAnswering || last.message.role === 'system') return false
      void runtime.regenerate(last.id)
    },
    continue: () => {
      if (last === undefined || isAnswering || last.message.role !== 'assistant' || last.text === '')
        return false
      if (!isRunning(last.message)) void runtime.continueReply(last.id)
    },
    panel: () => turnPanel(!isPanelOpen),
    leave,
  })

  if (phase === 'missing') return <NotFound />
  if (phase === 'failed') return <LoadingFailed problem={problem ?? ''} onRetry={() => void runtime.load()} />

  const isLoading = phase === 'loading'
  const { conversation } = state
  const send = (text: string) => {
    const isTaken = runtime.send(text, editing === null ? undefined : editing.parentId)
    if (isTaken) setEditing(null)
    return isTaken
  }
  const panel = conversation !== null && isPanelOpen && (
    <Boundary of={id} fallback={(error) => <CannotBeShown what="This panel" error={error} />}>
      <BranchPanel
        conversation={conversation}
        state={state}
        runtime={runtime}
        onJump={jump}
        onClose={() => turnPanel(false)}
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
                isPanelOpen={isPanelOpen}
                panelButton={panelButton}
                onPanel={() => turnPanel(!isPanelOpen)}
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
              {view.running?.isElsewhere && (
                <p className="mb-1.5 text-[0.9375rem] text-quiet">
                  The AI is answering on another branch of this conversation.
                </p>
              )}
              {view.newerElsewhere !== null && (
                <p role="status" className="mb-1.5 flex items-center gap-3 text-[0.9375rem] text-quiet">
                  Newer messages stand on another branch.
                  <Button
                    className="pointer-coarse:min-h-11"
                    onClick={() => void runtime.reading.goToNewer()}
                  >
                    Go there
                  </Button>
                </p>
              )}
              {notice !== null && (
                <Notice text={notice} reference={reference} onClose={() => runtime.forgetNotice()} />
              )}
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
                <ProviderLine
                  conversation={conversation}
                  onChoose={(choice) => void runtime.changeConversation(choice)}
                />
              </Boundary>
            </div>
          </footer>
        </div>
        {panel && isRoomy && (
          <aside
            aria-label="Branches and bookmarks"
            data-panel=""
            className="flex w-84 shrink-0 flex-col border-l border-rule bg-leaf"
          >
            <Suspense>{panel}</Suspense>
          </aside>
        )}
        {panel && !isRoomy && (
          <Suspense>
            <Sheet open onOpenChange={turnPanel} title="Branches and bookmarks" side="right">
              {panel}
            </Sheet>
          </Suspense>
        )}
      </div>
      <FinishedReplies view={view} />
    </TalkContext.Provider>
  )
}
