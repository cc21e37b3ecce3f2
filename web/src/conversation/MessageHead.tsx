import { EyeOff } from 'lucide-react'
import type { Message } from '../api/types'

/** Who speaks in a message, and that models are not told of it. Nothing for an ordinary one. */
export function MessageHead({ message }: { message: Message }) {
  return (
    <>
      {message.speaker !== null && (
        <p dir="auto" className="text-label font-semibold text-quiet wrap-anywhere">
          {message.speaker.name}
        </p>
      )}
      {message.hidden_from_ai && (
        <p className="flex items-center gap-1.5 text-label text-quiet">
          <EyeOff size={15} className="shrink-0 text-accent" aria-hidden="true" />
          Left out of what the AI is told
        </p>
      )}
    </>
  )
}
