import { Link } from '@tanstack/react-router'
import { ChevronDown, SlidersHorizontal } from 'lucide-react'
import { lazy, Suspense, useRef, useState } from 'react'
import type { Conversation, ConversationChange } from '../api/types'
import { answeringIn, sentTo, shortTitle } from '../providers/answering'
import { useHealthAfterReplies, useProviders } from '../providers/queries'
import { Words } from '../ui/Words'
import { ProviderHealth } from './ProviderHealth'
import { toldSampling } from './sampling'

// Fetched when somebody wants to choose: most never do in a conversation.
const ProviderChoice = lazy(() =>
  import('./ProviderChoice').then((found) => ({ default: found.ProviderChoice })),
)
const ReplySettings = lazy(() =>
  import('./ReplySettings').then((found) => ({ default: found.ReplySettings })),
)

const settings = (words: string) => (
  <Link to="/settings" className="text-accent underline decoration-1 underline-offset-3">
    {words}
  </Link>
)

interface ProviderLineProps {
  conversation: Conversation | null
  onChoose: (change: ConversationChange) => void
}

/** Who answers here, and what one should know of it. */
export function ProviderLine({ conversation, onChoose }: ProviderLineProps) {
  const { data: providers } = useProviders()
  const [isChoosing, setChoosing] = useState(false)
  const [isSetting, setSetting] = useState(false)
  const anchor = useRef<HTMLButtonElement>(null)
  const settingsAnchor = useRef<HTMLButtonElement>(null)
  useHealthAfterReplies(conversation?.generation_id ?? null)
  const answering = answeringIn(conversation, providers)
  if (answering === null || providers === undefined) return <div className="min-h-6" />
  const { provider, model } = answering
  const host = sentTo(provider)
  const title = shortTitle(provider)
  const told = conversation && toldSampling(conversation.sampling)
  const label = model ? `${title} · ${model}` : title

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
        {label}
        <ChevronDown size={14} aria-hidden="true" />
      </button>
      {isChoosing && (
        <Suspense>
          <ProviderChoice
            anchor={anchor}
            providers={providers}
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
      <ProviderHealth provider={provider} />
      {host !== null && <span>sends your messages to {host}</span>}
      {provider.note && (
        <span className="text-quiet">
          <Words text={provider.note} /> {settings('Open settings')}
        </span>
      )}
      {provider.name === 'local' && !provider.note && (
        <span>
          <span className="max-sm:sr-only">
            You are talking with the small built-in model: good for a first look, it makes things up.{' '}
          </span>
          {settings('Connect a better one')}.
        </span>
      )}
    </div>
  )
}
