import { X } from 'lucide-react'
import { IconButton } from '../ui/IconButton'

interface NoticeProps {
  text: string
  /** What finds the cause in the server's log. */
  reference: string | null
  onClose: () => void
}

/** Something worth saying once, over the composer. */
export function Notice({ text, reference, onClose }: NoticeProps) {
  return (
    <div
      role="status"
      className="mb-1.5 flex items-center justify-between gap-3 border-l-2 border-accent bg-leaf py-1 pr-1 pl-3 text-label text-quiet"
    >
      <span className="wrap-anywhere">
        {text}
        {reference !== null && <span className="text-note text-faint"> Reference {reference}</span>}
      </span>
      <IconButton icon={X} size={15} label="Close the note" onClick={onClose} />
    </div>
  )
}
