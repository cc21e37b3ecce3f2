import { Check, ChevronDown } from 'lucide-react'
import { useId, useState } from 'react'
import type { Connection, Connections } from '../api/types'
import { sentTo } from '../connections/answering'
import { useChooseConnection } from '../connections/queries'
import { ConnectionHealth } from '../conversation/ConnectionHealth'
import { Button } from '../ui/Button'
import { Words } from '../ui/Words'
import { ConnectionForm } from './ConnectionForm'
import { stateOf } from './connectionState'

interface ConnectionEntryProps {
  connection: Connection
  chosen: Connections['chosen']
  startsOpen: boolean
}

/** One line of the list; its settings unfold under it. */
export function ConnectionEntry({ connection, chosen, startsOpen }: ConnectionEntryProps) {
  const [isOpen, setOpen] = useState(startsOpen)
  const choose = useChooseConnection()
  const form = useId()
  const model = (connection.chosen ? chosen.model : null) ?? connection.model
  const host = sentTo(connection)
  const facts = [
    stateOf(connection),
    model,
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
            <span className="block font-semibold wrap-anywhere">{connection.name}</span>
            <span className="block text-note text-faint wrap-anywhere">{facts.join(' · ')}</span>
          </span>
        </button>
        {connection.chosen ? (
          <span className="inline-flex items-center gap-1.5 py-1.5 text-label text-accent">
            <Check size={16} aria-hidden="true" /> Answers by default
          </span>
        ) : (
          <Button
            disabled={!connection.configured || choose.isPending}
            onClick={() => choose.mutate({ id: connection.id })}
            aria-label={`Let ${connection.name} answer by default`}
          >
            Choose
          </Button>
        )}
      </div>
      {connection.note && (
        <p className="mt-1 pl-6 text-label text-quiet">
          <Words text={connection.note} />
        </p>
      )}
      <p className="pl-6 text-label empty:hidden">
        <ConnectionHealth
          connection={connection}
          withReason={connection.health.error?.message !== connection.note}
        />
      </p>
      {choose.isError && (
        <p role="alert" className="mt-1 pl-6 text-label text-accent">
          Not chosen. {choose.error.message}
        </p>
      )}
      <div id={form} hidden={!isOpen}>
        {isOpen && <ConnectionForm connection={connection} />}
      </div>
    </li>
  )
}
