import { Button } from '../ui/Button'
import { type Kind, unkeepableIn, withoutUnkeepable } from './keepable'

interface UnkeepableProps {
  id: string
  text: string
  kind?: Kind
  onMend: (text: string) => void
}

/** Names what in a text cannot be kept, and removes it; nothing where all of it can. */
export function Unkeepable({ id, text, kind = 'text', onMend }: UnkeepableProps) {
  const words = unkeepableIn(text, kind)
  if (words === null) return null
  return (
    <div
      id={id}
      role="alert"
      className="my-1.5 flex flex-wrap items-center gap-x-3 gap-y-1 text-left font-plain text-label text-quiet"
    >
      <span className="min-w-0 wrap-anywhere">{words}</span>
      <Button className="pointer-coarse:min-h-11" onClick={() => onMend(withoutUnkeepable(text, kind))}>
        {words.startsWith('1 ') ? 'Remove it' : 'Remove them'}
      </Button>
    </div>
  )
}
