import { CopyButton } from '../ui/CopyButton'

interface UnshownMessageProps {
  label: string
  text: string
}

/** A message that cannot be set: its text as it was written. */
export function UnshownMessage({ label, text }: UnshownMessageProps) {
  return (
    <article aria-label={label}>
      <p className="text-note text-faint">This message could not be formatted:</p>
      <div className="tale">
        <p dir="auto">{text}</p>
      </div>
      <CopyButton text={text} />
    </article>
  )
}
