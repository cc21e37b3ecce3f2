import { Popover } from 'radix-ui'
import { type RefObject, useState } from 'react'
import type { Conversation, Providers } from '../api/types'
import { sentTo } from '../providers/answering'
import { Button } from '../ui/Button'

interface ProviderChoiceProps {
  /** What the choice opens beside. */
  anchor: RefObject<HTMLButtonElement | null>
  providers: Providers
  conversation: Conversation | null
  onChoose: (choice: { provider: string | null; model: string | null }) => void
  onClose: () => void
}

/** Another provider or model for this conversation alone. */
export function ProviderChoice({ anchor, providers, conversation, onChoose, onClose }: ProviderChoiceProps) {
  const [provider, setProvider] = useState(conversation?.provider ?? null)
  const [model, setModel] = useState(conversation?.model ?? '')
  const usable = providers.items.filter((each) => each.configured)
  const chosen = providers.items.find((each) => each.name === providers.chosen.provider)
  const picked = providers.items.find((each) => each.name === provider)

  const options = [
    { value: null, title: `As in settings (${chosen?.title ?? providers.chosen.provider})`, host: null },
    ...usable.map((each) => ({ value: each.name, title: each.title, host: sentTo(each) })),
  ]

  return (
    <Popover.Root open onOpenChange={(open) => !open && onClose()}>
      <Popover.Anchor virtualRef={anchor as RefObject<HTMLButtonElement>} />
      <Popover.Portal>
        <Popover.Content
          side="top"
          align="start"
          sideOffset={6}
          collisionPadding={12}
          aria-label="Who answers here"
          onInteractOutside={(event) => {
            // The button closes what it opened.
            if (anchor.current?.contains(event.target as Node)) event.preventDefault()
          }}
          className="z-30 w-80 max-w-[92vw] rounded-corner border border-edge bg-raised p-4 text-label shadow-lg shadow-shade/20"
        >
          <form
            onSubmit={(event) => {
              event.preventDefault()
              onChoose({ provider, model: provider === null ? null : model.trim() || null })
              onClose()
            }}
          >
            <fieldset>
              <legend className="mb-1.5 font-semibold">Who answers in this conversation</legend>
              {options.map((option) => (
                <label key={option.value ?? ''} className="flex items-baseline gap-2.5 py-1">
                  <input
                    type="radio"
                    name="provider"
                    className="accent-accent"
                    checked={provider === option.value}
                    onChange={() => {
                      setProvider(option.value)
                      setModel('')
                    }}
                  />
                  <span>
                    {option.title}
                    {option.host !== null && (
                      <span className="block text-note text-faint">sends your messages to {option.host}</span>
                    )}
                  </span>
                </label>
              ))}
            </fieldset>
            {provider !== null && (
              <label className="mt-2 block">
                <span className="mb-1 block text-note text-faint">Model</span>
                <input
                  value={model}
                  onChange={(event) => setModel(event.target.value)}
                  placeholder={picked?.model ?? 'as in settings'}
                  spellCheck={false}
                  className="w-full rounded-corner border border-edge bg-page px-2 py-1.5"
                />
              </label>
            )}
            <div className="mt-3 flex justify-end gap-2">
              <Button onClick={onClose}>Cancel</Button>
              <Button type="submit" weight="strong">
                Choose
              </Button>
            </div>
          </form>
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  )
}
