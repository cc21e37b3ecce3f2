import type { Token } from '../api/types'
import { Question } from '../ui/Question'
import { factsOf, wordsFor } from './logins'

interface EndLoginProps {
  login: Token
  onEnd: () => void
  onClose: () => void
}

/** Asked before a login is ended, since that cannot be undone. */
export function EndLogin({ login, onEnd, onClose }: EndLoginProps) {
  const words = wordsFor(login)
  return (
    <Question title={words.question} outcome={words.outcome} yes={words.end} onYes={onEnd} onClose={onClose}>
      <p className="mt-3 border-l-2 border-edge pl-3 text-label text-quiet">
        {words.title}: {factsOf(login).join(' · ')}
      </p>
    </Question>
  )
}
