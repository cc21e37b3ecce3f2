import { useNavigate } from '@tanstack/react-router'
import { Search } from 'lucide-react'
import { Fragment, type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react'
import { useTitles } from '../lists/useTitles'
import { useDebounced } from '../search/useDebounced'
import { useSearch } from '../search/useSearch'
import { Modal } from '../ui/Modal'
import { searchable } from '../writing/keepable'
import { mended } from '../writing/mending'
import { HitChoice } from './HitChoice'
import { ranked } from './ranking'
import { TitleChoice } from './TitleChoice'

const MOST_TITLES = 12
const MOST_HITS = 6

interface Choice {
  key: string
  group: string
  what: ReactNode
  go: () => void
}

/** Where to? Titles as one types, and under them what was said anywhere. */
export function Switcher({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate()
  const [typed, setTyped] = useState('')
  const [at, setAt] = useState(0)
  const list = useRef<HTMLDivElement>(null)
  const id = useId()
  const titles = useTitles()
  const asked = useDebounced(typed.trim(), 180)
  const search = useSearch({ q: asked }, MOST_HITS)

  const openConversation = (id: string, message?: string) => () => {
    onClose()
    void navigate({ to: '/c/$id', params: { id }, search: { message } })
  }
  const openSearch = () => {
    onClose()
    void navigate({ to: '/search', search: { q: text } })
  }
  const text = typed.trim()
  const hits = text === '' ? [] : (search.data?.pages[0]?.items ?? [])
  const choices: Choice[] = [
    ...ranked(text, titles.data ?? [])
      .slice(0, MOST_TITLES)
      .map((conversation) => ({
        key: conversation.id,
        group: conversation.archived_at === null ? 'Conversations' : 'In the archive',
        what: <TitleChoice conversation={conversation} />,
        go: openConversation(conversation.id),
      })),
    ...hits.map((hit) => ({
      key: hit.message.id,
      group: 'What was said',
      what: <HitChoice hit={hit} />,
      go: openConversation(hit.conversation.id, hit.message.id),
    })),
    ...(text === ''
      ? []
      : [
          {
            key: 'all',
            group: 'What was said',
            what: (
              <>
                <Search size={15} className="shrink-0 text-faint" aria-hidden="true" />
                <span className="truncate">
                  All that was said with “{text}”, by date, speaker and purpose
                </span>
              </>
            ),
            go: openSearch,
          },
        ]),
  ]
  const place = Math.min(at, choices.length - 1)
  const chosen = choices[place]

  useEffect(() => {
    list.current?.querySelector(`[data-place="${place}"]`)?.scrollIntoView({ block: 'nearest' })
  }, [place])

  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step !== undefined && choices.length > 0) {
      event.preventDefault()
      setAt((place + step + choices.length) % choices.length)
    }
    if (event.key === 'Enter') {
      event.preventDefault()
      chosen?.go()
    }
    if (event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      onClose()
    }
  }

  return (
    <Modal title="Go to a conversation, or find what was said" hasHead={false} onClose={onClose}>
      <div className="flex items-center gap-2.5 border-b border-rule pr-2 pl-4">
        <Search size={17} strokeWidth={1.75} className="shrink-0 text-faint" aria-hidden="true" />
        <input
          role="combobox"
          aria-label="Go to a conversation, or find what was said"
          aria-expanded={choices.length > 0}
          aria-controls={`${id}-list`}
          aria-activedescendant={chosen === undefined ? undefined : `${id}-${chosen.key}`}
          aria-autocomplete="list"
          value={typed}
          onChange={(event) => {
            setTyped(mended(event.target, searchable))
            setAt(0)
          }}
          onKeyDown={onKeyDown}
          placeholder="A title, or words that were said"
          dir="auto"
          autoComplete="off"
          spellCheck={false}
          enterKeyHint="go"
          className="min-w-0 flex-1 bg-transparent py-3.5 text-reading outline-none!"
        />
        <button
          type="button"
          onClick={onClose}
          className="rounded-corner px-2.5 py-1.5 text-label text-faint hover:text-ink pointer-coarse:min-h-11"
        >
          Close
        </button>
      </div>
      <div
        ref={list}
        id={`${id}-list`}
        role="listbox"
        aria-label="Conversations and what was said"
        className="min-h-0 overflow-y-auto py-2 empty:hidden"
      >
        {choices.map((choice, index) => (
          <Fragment key={choice.key}>
            {choice.group !== choices[index - 1]?.group && (
              <div role="presentation" className="small-caps px-4 pt-1.5 pb-0.5 text-faint">
                {choice.group}
              </div>
            )}
            {/* biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the field's */}
            <div
              id={`${id}-${choice.key}`}
              role="option"
              tabIndex={-1}
              aria-selected={index === place}
              data-place={index}
              onClick={choice.go}
              onPointerMove={() => setAt(index)}
              className={`flex cursor-pointer items-center gap-2.5 border-l-2 px-3.5 py-1.5 text-label pointer-coarse:min-h-11 ${index === place ? 'border-accent bg-wash text-ink' : 'border-transparent text-quiet'}`}
            >
              {choice.what}
            </div>
          </Fragment>
        ))}
      </div>
      <div role="status" className="px-4 text-note text-faint not-empty:pb-3">
        {titles.isPending && 'Loading the titles…'}
        {titles.isError && `The titles could not be loaded. ${titles.error.message}`}
        {text !== '' && search.isError && `What was said could not be searched. ${search.error.message}`}
        {text !== '' &&
          search.isSuccess &&
          !search.isPlaceholderData &&
          hits.length === 0 &&
          `Nothing that was said has “${asked}” in it.`}
      </div>
    </Modal>
  )
}
