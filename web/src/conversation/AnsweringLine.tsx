import { Link } from '@tanstack/react-router'
import { ChevronDown, SlidersHorizontal } from 'lucide-react'
import { lazy, Suspense, useRef, useState } from 'react'
import type { Conversation, ConversationChange } from '../api/types'
import { answeringIn, isSmallModel, sentTo } from '../connections/answering'
import { useConnections, useHealthAfterReplies } from '../connections/queries'
import { Words } from '../ui/Words'
import { ConnectionHealth } from './ConnectionHealth'
import { toldSampling } from './sampling'

// Fetched when somebody wants to choose: most never do in a conversation.
const ModelChoice = lazy(() => import('./ModelChoice').then((found) => ({ default: found.ModelChoice })))
const ReplySettings = lazy(() =>
  import('./ReplySettings').then((found) => ({ default: found.ReplySettings })),
)

const settings = (words: string) => (
  <Link to="/settings" className="text-accent underline decoration-1 underline-offset-3">
    {words}
  </Link>
)

interface AnsweringLineProps {
  conversation: Conversation | null
  onChoose: (change: ConversationChange) => void
}

/** Who answers here, and what one should know of it. */
export function AnsweringLine({ conversation, onChoose }: AnsweringLineProps) {
  const { data: connections } = useConnections()
  const [isChoosing, setChoosing] = useState(false)
  const [isSetting, setSetting] = useState(false)
  const anchor = useRef<HTMLButtonElement>(null)
  const settingsAnchor = useRef<HTMLButtonElement>(null)
  useHealthAfterReplies(conversation?.generation_id ?? null)
  const answering = answeringIn(conversation, connections)
  if (answering === null || connections === undefined) return <div className="min-h-6" />
  const { connection, model } = answering
  const host = connection && sentTo(connection)
  const told = conversation && toldSampling(conversation.sampling)
  const label = connection === null ? 'nothing' : [connection.name, model].filter(Boolean).join(' · ')

  return (
    <div className="flex min-h-6 flex-wrap items-baseline gap-x-2 px-1 text-caption leading-6 text-faint">
      <button
        ref={anchor}
        type="button"
        aria-haspopup="dialog"
        aria-expanded={isChoosing}
        aria-label={`Who answers here: ${label}`}
        onClick={() => setChoosing(!isChoosing)}
        className="inline-flex items-center gap-0.5 rounded-corner text-left text-quiet hover:text-ink"
      >
        {connection === null ? 'Choose who answers' : label}
        <ChevronDown size={14} aria-hidden="true" />
      </button>
      {isChoosing && (
        <Suspense>
          <ModelChoice
            anchor={anchor}
            connections={connections}
            conversation={conversation}
            onChoose={onChoose}
            onClose={() => setChoosing(false)}
          />
        </Suspense>
      )}
      {conversation !== null && (
        <button
          ref={settingsAnchor}
          type="button"
          aria-haspopup="dialog"
          aria-expanded={isSetting}
          aria-label={told === null ? 'Reply settings' : `Reply settings: ${told}`}
          onClick={() => setSetting(!isSetting)}
          title="Reply settings"
          className="inline-flex min-h-6 min-w-6 items-center justify-center gap-1 self-center rounded-corner text-left hover:text-ink"
        >
          <SlidersHorizontal size={13} aria-hidden="true" />
          {told}
        </button>
      )}
      {isSetting && conversation !== null && (
        <Suspense>
          <ReplySettings
            anchor={settingsAnchor}
            sampling={conversation.sampling}
            onChange={(sampling) => onChoose({ sampling })}
            onClose={() => setSetting(false)}
          />
        </Suspense>
      )}
      {connection === null && (
        <span className="text-accent">The connection that was chosen to answer has been removed.</span>
      )}
      {connection && <ConnectionHealth connection={connection} />}
      {host !== null && <span>sends your messages to {host}</span>}
      {connection?.note && (
        <span className="text-quiet">
          <Words text={connection.note} /> {settings('Open settings')}
        </span>
      )}
      {isSmallModel(answering) && !connection?.note && (
        <span>
          <span className="max-sm:sr-only">
            You are talking with the small built-in model: good for a first look, it makes things up.{' '}
          </span>
          {settings('Get a better one')}.
        </span>
      )}
    </div>
  )
}
