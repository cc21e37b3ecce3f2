import { useCallback, useEffect, useMemo, useState } from 'react'
import { NotFound } from '../app/NotFound'
import { titleOf } from '../ui/titles'
import { Composer } from './Composer'
import { EmptyConversation } from './EmptyConversation'
import { FinishedReplies } from './FinishedReplies'
import { LoadingColumn } from './LoadingColumn'
import { LoadingFailed } from './LoadingFailed'
import { MessageList } from './MessageList'
import { Notice } from './Notice'
import { ProviderLine } from './ProviderLine'
import { RunningHead } from './RunningHead'
import { type Editing, TalkContext } from './TalkContext'
import { useConversation } from './useConversation'

export function ConversationPage({ id }: { id: string }) {
  const { phase, problem, state, view, notice, loadingOlder, runtime } = useConversation(id)
  const [editing, setEditing] = useState<Editing | null>(null)
  const isAnswering = view.running !== null
  const talk = useMemo(() => ({ runtime, edit: setEditing, isAnswering }), [runtime, isAnswering])
  const loadOlder = useCallback(() => void runtime.loadOlder(), [runtime])
  const isEditing = editing !== null

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      // Whatever stands on top (a menu, a sheet) has taken its Esc by now.
      if (event.key !== 'Escape' || event.defaultPrevented) return
      if (isEditing) setEditing(null)
      else if (isAnswering) void runtime.stop()
      else runtime.forgetNotice()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [isEditing, isAnswering, runtime])

  if (phase === 'missing') return <NotFound />
  if (phase === 'failed') return <LoadingFailed problem={problem ?? ''} onRetry={() => void runtime.load()} />

  const isLoading = phase === 'loading'
  const title = titleOf(state.conversation)

  const send = (text: string) => {
    runtime.send(text, editing === null ? undefined : editing.parentId)
    setEditing(null)
  }

  const editLast = () => {
    const own = view.lines.findLast((line) => line.kind === 'said' && line.message.role === 'user')
    if (own?.kind !== 'said') return
    setEditing({ id: own.id, parentId: own.message.parent_id, content: own.message.content })
  }

  return (
    <TalkContext.Provider value={talk}>
      <title>{isLoading ? 'Talekeeper' : `${title} · Talekeeper`}</title>
      {isLoading ? (
        <LoadingColumn />
      ) : (
        <>
          <RunningHead title={title} />
          {view.lines.length === 0 ? (
            <EmptyConversation />
          ) : (
            <MessageList view={view} loadingOlder={loadingOlder} onOlder={loadOlder} />
          )}
        </>
      )}
      <footer className="border-t border-rule pt-2 pb-[max(0.5rem,env(safe-area-inset-bottom))]">
        <div className="column">
          {view.running?.isElsewhere && (
            <p className="mb-1.5 text-[0.9375rem] text-quiet">
              The AI is answering on another branch of this conversation.
            </p>
          )}
          {notice !== null && <Notice text={notice} onClose={() => runtime.forgetNotice()} />}
          <Composer
            key={editing?.id ?? 'draft'}
            conversationId={id}
            isLoading={isLoading}
            isAnswering={isAnswering}
            editing={editing}
            onSend={send}
            onStop={() => void runtime.stop()}
            onLeaveEditing={() => setEditing(null)}
            onEditLast={editLast}
          />
          <ProviderLine
            conversation={state.conversation}
            onChoose={(choice) => void runtime.changeConversation(choice)}
          />
        </div>
      </footer>
      <FinishedReplies view={view} />
    </TalkContext.Provider>
  )
}
