import { Check, ChevronDown } from 'lucide-react'
import { useId, useState } from 'react'
import type { Provider, Providers } from '../api/types'
import { ProviderHealth } from '../conversation/ProviderHealth'
import { sentTo } from '../providers/answering'
import { useChooseProvider } from '../providers/queries'
import { Button } from '../ui/Button'
import { Words } from '../ui/Words'
import { ProviderForm } from './ProviderForm'

interface ProviderEntryProps {
  provider: Provider
  chosen: Providers['chosen']
}

/** One line of the register; its settings unfold under it. */
export function ProviderEntry({ provider, chosen }: ProviderEntryProps) {
  const [isOpen, setOpen] = useState(false)
  const choose = useChooseProvider()
  const form = useId()
  const isChosen = chosen.provider === provider.name
  const model = (isChosen ? chosen.model : null) ?? provider.model
  const host = sentTo(provider)
  const facts = [
    provider.configured ? model : 'not set up',
    host === null ? 'stays on the machine of the server' : `sends your messages to ${host}`,
  ].filter(Boolean)

  return (
    <li className="border-t border-rule py-3">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <button
          type="button"
          aria-expanded={isOpen}
          aria-controls={form}
          onClick={() => setOpen(!isOpen)}
          className="flex min-w-0 flex-1 basis-60 items-start gap-2 rounded-corner text-left"
        >
          <ChevronDown
            size={17}
            aria-hidden="true"
            className={`mt-1 shrink-0 text-faint transition-transform ${isOpen ? '' : '-rotate-90'}`}
          />
          <span className="min-w-0">
            <span className="block font-semibold">{provider.title}</span>
            <span className="block text-note text-faint">{facts.join(' · ')}</span>
          </span>
        </button>
        {isChosen ? (
          <span className="inline-flex items-center gap-1.5 py-1.5 text-label text-accent">
            <Check size={16} aria-hidden="true" /> Answers by default
          </span>
        ) : (
          <Button
            disabled={!provider.configured || choose.isPending}
            onClick={() => choose.mutate({ provider: provider.name })}
            aria-label={`Let ${provider.title} answer by default`}
          >
            Choose
          </Button>
        )}
      </div>
      {provider.note && (
        <p className="mt-1 pl-6 text-label text-quiet">
          <Words text={provider.note} />
        </p>
      )}
      <p className="pl-6 text-label empty:hidden">
        <ProviderHealth provider={provider} withReason={provider.health.error?.message !== provider.note} />
      </p>
      {choose.isError && (
        <p role="alert" className="mt-1 pl-6 text-label text-accent">
          Not chosen. {choose.error.message}
        </p>
      )}
      <div id={form} hidden={!isOpen}>
        {isOpen && <ProviderForm provider={provider} />}
      </div>
    </li>
  )
}
