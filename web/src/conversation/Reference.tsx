import { CopyButton } from '../ui/CopyButton'

/** Folded away: what finds the cause of a problem in the server's log. */
export function Reference({ reference }: { reference: string }) {
  return (
    <details className="text-note text-quiet">
      <summary className="cursor-pointer">More</summary>
      <span className="inline-flex items-center gap-1">
        The server's log tells more under <code>{reference}</code>
        <CopyButton text={reference} label="Copy the reference" />
      </span>
    </details>
  )
}
