import { useState } from 'react'
import type { Token } from '../api/types'
import { Button } from '../ui/Button'
import { EndLogin } from './EndLogin'
import { factsOf, wordsFor } from './logins'
import { useEndLogin } from './useLogins'

/** One thing that lets somebody in, and the way to end it. This browser's own is ended by logging out. */
export function LoginRow({ login }: { login: Token }) {
  const [isAsking, setAsking] = useState(false)
  const end = useEndLogin()
  const { title, end: verb } = wordsFor(login)
  const facts = factsOf(login).join(' · ')
  return (
    <li className="border-t border-rule py-3">
      <div className="flex flex-wrap items-center justify-between gap-x-3 gap-y-1">
        <div className="min-w-0 flex-1 basis-60">
          <p className="font-semibold">{title}</p>
          <p className="text-note text-faint">{facts}</p>
        </div>
        {!login.is_current && (
          <Button
            className="pointer-coarse:min-h-11"
            disabled={end.isPending}
            onClick={() => setAsking(true)}
            aria-label={`${verb}: ${title}, ${facts}`}
          >
            {end.isPending ? 'Ending…' : verb}
          </Button>
        )}
      </div>
      {end.isError && (
        <p role="alert" className="mt-1 text-label text-accent">
          Not ended, it still lets somebody in. {end.error.message}
        </p>
      )}
      {isAsking && (
        <EndLogin login={login} onEnd={() => end.mutate(login.id)} onClose={() => setAsking(false)} />
      )}
    </li>
  )
}
