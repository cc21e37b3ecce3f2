import { Fragment, type KeyboardEvent, type RefObject, useEffect, useId, useRef, useState } from 'react'
import type { Connections, Conversation } from '../api/types'
import { answeringIn, sentTo } from '../connections/answering'
import { type ModelChoice as Choice, choiceGroups } from '../connections/choices'
import { useModelsOfAll } from '../connections/queries'
import { Flyout } from '../ui/Flyout'

interface ModelChoiceProps {
  /** What the choice opens beside. */
  anchor: RefObject<HTMLButtonElement | null>
  connections: Connections
  conversation: Conversation | null
  onChoose: (choice: { connection_id: string | null; model: string | null }) => void
  onClose: () => void
}

interface Option {
  key: string
  words: string
  isCurrent: boolean
  choose: () => void
}

/** Another model for this conversation alone, out of those of every connection. */
export function ModelChoice({ anchor, connections, conversation, onChoose, onClose }: ModelChoiceProps) {
  const [typed, setTyped] = useState('')
  const [at, setAt] = useState(0)
  const list = useRef<HTMLDivElement>(null)
  const id = useId()
  const usable = connections.items.filter((each) => each.configured)
  const asked = useModelsOfAll(usable)
  const listed = new Map(usable.map((each, index) => [each.id, asked[index]]))
  const groups = choiceGroups(usable, (each) => listed.get(each)?.data?.items, typed)
  const usual = answeringIn(null, connections)
  const usualWords = [usual?.connection?.name ?? 'nothing', usual?.model].filter(Boolean).join(' · ')

  const pick = (choice: { connection_id: string | null; model: string | null }) => () => {
    onChoose(choice)
    onClose()
  }
  const isChosen = (choice: Choice) =>
    conversation?.connection_id === choice.connection.id && conversation.model === choice.model
  const options: Option[] = [
    ...(typed.trim() === ''
      ? [
          {
            key: 'usual',
            words: `As in settings (${usualWords})`,
            isCurrent: conversation?.connection_id == null,
            choose: pick({ connection_id: null, model: null }),
          },
        ]
      : []),
    ...groups.flatMap(({ connection, choices }) =>
      choices.map((choice) => ({
        key: `${connection.id} ${choice.model ?? ''}`,
        words: choice.words,
        isCurrent: isChosen(choice),
        choose: pick({ connection_id: connection.id, model: choice.model }),
      })),
    ),
  ]
  const place = Math.min(at, options.length - 1)

  useEffect(() => {
    list.current?.querySelector(`[data-place="${place}"]`)?.scrollIntoView({ block: 'nearest' })
  }, [place])

  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step !== undefined && options.length > 0) {
      event.preventDefault()
      setAt((place + step + options.length) % options.length)
    }
    if (event.key === 'Enter') {
      event.preventDefault()
      options[place]?.choose()
    }
  }

  const row = (option: Option) => {
    const index = options.indexOf(option)
    return (
      // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the field's
      <div
        key={option.key}
        id={`${id}-${index}`}
        role="option"
        tabIndex={-1}
        aria-selected={index === place}
        data-place={index}
        onClick={option.choose}
        onPointerMove={() => setAt(index)}
        className={`cursor-pointer border-l-2 px-3.5 py-1 wrap-anywhere pointer-coarse:min-h-11 pointer-coarse:py-2.5 ${index === place ? 'border-accent bg-wash text-ink' : 'border-transparent text-quiet'} ${option.isCurrent ? 'font-semibold' : ''}`}
      >
        {option.words}
        {option.isCurrent && <span className="sr-only"> (chosen now)</span>}
      </div>
    )
  }
  const first = options[0]?.key === 'usual' ? options[0] : undefined

  return (
    <Flyout
      anchor={anchor}
      label="Who answers here"
      onClose={onClose}
      className="flex max-h-[min(28rem,var(--radix-popover-content-available-height))] w-96 flex-col"
    >
      <input
        role="combobox"
        aria-label="Find a model"
        aria-expanded={options.length > 0}
        aria-controls={`${id}-list`}
        aria-activedescendant={options.length > 0 ? `${id}-${place}` : undefined}
        aria-autocomplete="list"
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value)
          setAt(0)
        }}
        onKeyDown={onKeyDown}
        placeholder="Find a model, or type its name"
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        className="shrink-0 border-b border-rule bg-transparent px-4 py-2.5 outline-none!"
      />
      <div
        ref={list}
        id={`${id}-list`}
        role="listbox"
        aria-label="Models"
        className="min-h-0 flex-1 overflow-y-auto py-1.5"
      >
        {first && row(first)}
        {groups.map(({ connection, choices, more }) => {
          const models = listed.get(connection.id)
          const host = sentTo(connection)
          return (
            // biome-ignore lint/a11y/useSemanticElements: a fieldset is no group of options
            <div key={connection.id} role="group" aria-label={connection.name}>
              <div role="presentation" className="px-4 pt-2.5 pb-0.5">
                <span className="small-caps text-faint">{connection.name}</span>
                <span className="ml-2 text-note text-faint">
                  {host === null ? 'stays on the server’s machine' : `sends your messages to ${host}`}
                </span>
              </div>
              {choices.map((choice) => {
                const key = `${connection.id} ${choice.model ?? ''}`
                const option = options.find((each) => each.key === key)
                return <Fragment key={key}>{option && row(option)}</Fragment>
              })}
              {(more > 0 || models?.isPending || models?.isError) && (
                <div role="presentation" className="px-4 py-1 text-note text-faint">
                  {more > 0 && `${more} more: type to narrow them. `}
                  {models?.isPending && 'Asking for its models… '}
                  {models?.isError && `Its models cannot be listed. ${models.error.message}`}
                </div>
              )}
            </div>
          )
        })}
      </div>
    </Flyout>
  )
}
