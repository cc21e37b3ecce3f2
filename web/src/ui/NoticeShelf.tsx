import { X } from 'lucide-react'
import { useEffect, useState } from 'react'
import { useStore } from '../stores/store'
import { Button } from './Button'
import { IconButton } from './IconButton'
import { dismiss, type Said, said, takeBack } from './notices'

/** Milliseconds; while one is near, it stays. */
const STAYS = 15_000

function Note({ said, isHeld }: { said: Said; isHeld: boolean }) {
  const { id, words, undo, state, problem } = said
  useEffect(() => {
    if (isHeld || state !== 'said') return
    const timer = setTimeout(() => dismiss(id), STAYS)
    return () => clearTimeout(timer)
  }, [id, isHeld, state])
  return (
    <li className="pointer-events-auto flex items-center gap-2 rounded-corner border border-edge bg-raised py-1.5 pr-1 pl-3.5 text-label shadow-lg shadow-shade/20">
      <span className="min-w-0 flex-1 wrap-anywhere">
        {state === 'not undone' ? `Not undone. ${problem}` : words}
      </span>
      {undo !== null && (
        <Button
          disabled={state === 'undoing'}
          className="pointer-coarse:min-h-11"
          onClick={() => void takeBack(id)}
        >
          {state === 'undoing' ? 'Undoing…' : state === 'said' ? 'Undo' : 'Retry'}
        </Button>
      )}
      <IconButton icon={X} size={15} label="Close the note" onClick={() => dismiss(id)} />
    </li>
  )
}

/** The notes at the page's edge. They are told to a screen reader, and wait while one is near them. */
export function NoticeShelf() {
  const all = useStore(said)
  const [isHeld, setHeld] = useState(false)
  const last = all.at(-1)
  return (
    <section
      aria-label="What was just done"
      className="pointer-events-none fixed inset-x-3 bottom-[calc(7.5rem+env(safe-area-inset-bottom))] z-50 sm:inset-x-auto sm:bottom-40 sm:left-3 sm:w-[calc(var(--rail)-1.5rem)]"
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || last === undefined) return
        event.preventDefault()
        dismiss(last.id)
      }}
      onFocus={() => setHeld(true)}
      onBlur={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget)) setHeld(false)
      }}
    >
      <p role="status" className="sr-only">
        {last === undefined
          ? ''
          : `${last.state === 'not undone' ? `Not undone. ${last.problem}` : last.words}${last.undo === null ? '' : ' It can be undone.'}`}
      </p>
      <ul className="space-y-2">
        {all.map((said) => (
          <Note key={said.id} said={said} isHeld={isHeld} />
        ))}
      </ul>
    </section>
  )
}
