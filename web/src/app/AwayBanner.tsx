import { useSyncExternalStore } from 'react'
import { api } from '../api/client'
import { liveNews } from '../api/live'
import { outbox } from '../conversation/outbox'
import { Button } from '../ui/Button'
import { useReach } from './useReach'

/** What is true while the server is away, and what to do. */
export function AwayBanner() {
  const isAway = useReach() === 'away'
  const waiting = useSyncExternalStore(outbox.subscribe, outbox.entries).length
  if (!isAway) return null
  const retry = () => {
    liveNews().wake()
    outbox.retryAll()
    void api.me().catch(() => {})
  }
  return (
    <div
      role="status"
      className="flex flex-wrap items-center justify-center gap-x-4 gap-y-1 border-b-2 border-accent bg-leaf px-4 py-2 text-[0.9375rem]"
    >
      <p>
        <strong className="font-semibold">The server is not answering.</strong> What was saved is safe on its
        disk.{' '}
        {waiting === 0
          ? 'Is it still running? This page goes on by itself when it is back.'
          : `${waiting === 1 ? 'One message waits' : `${waiting} messages wait`} in this tab: keep it open.`}
      </p>
      <Button onClick={retry}>Retry</Button>
    </div>
  )
}
