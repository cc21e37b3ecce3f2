import { api } from '../api/client'
import { health } from '../api/health'
import { liveNews } from '../api/live'
import { contact } from '../api/reach'
import { outbox } from '../outbox/outbox'
import { useStore } from '../stores/store'
import { Button } from '../ui/Button'
import { persistenceOf } from './persistence'

function retry(): void {
  liveNews().wake()
  outbox.retryAll()
  void api.health().then(health.write, () => {})
}

/** Whether what is said can be saved: nothing while it can, else what is true and what to do. */
export function AwayBanner() {
  const entries = useStore(outbox.entries)
  const { state, headline, advice, reasons } = persistenceOf({
    ...useStore(contact),
    health: useStore(health),
    waiting: entries.filter((entry) => entry.state !== 'refused').length,
    unsaved: entries.filter((entry) => entry.state === 'unsaved').length,
    isLasting: outbox.isLasting,
  })
  if (state === 'available') return null
  return (
    <div
      role="status"
      data-persistence={state}
      className={`flex flex-wrap items-center justify-center gap-x-4 gap-y-1 bg-leaf px-4 py-2 text-label ${
        state === 'unavailable' ? 'border-b-2 border-accent' : 'border-b border-rule'
      }`}
    >
      <div className="min-w-0">
        <p>
          <strong className="font-semibold">{headline}</strong> {advice}
        </p>
        {reasons.length > 0 && (
          <details className="text-note text-quiet">
            <summary className="cursor-pointer">More</summary>
            <ul>
              {reasons.map((reason) => (
                <li key={reason.code + reason.message}>
                  {reason.message} <code className="text-faint">{reason.code}</code>
                </li>
              ))}
            </ul>
          </details>
        )}
      </div>
      <Button onClick={retry}>Retry</Button>
    </div>
  )
}
