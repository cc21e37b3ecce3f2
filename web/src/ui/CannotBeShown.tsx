import { Button } from './Button'

interface CannotBeShownProps {
  /** What it is, at the start of a sentence: "This page". */
  what: string
  error: unknown
  onRetry?: () => void
}

/** Stands in place of a part of the page that broke: what is safe, and what to do. */
export function CannotBeShown({ what, error, onRetry }: CannotBeShownProps) {
  return (
    <div role="alert" className="max-w-md px-4 py-6 text-label leading-relaxed">
      <h2 className="font-tale text-heading">{what} cannot be shown.</h2>
      <p className="mt-2 text-quiet">Nothing is lost: what was said lies on the server.</p>
      <div className="mt-4 flex gap-2">
        {onRetry !== undefined && (
          <Button weight="strong" onClick={onRetry}>
            Try again
          </Button>
        )}
        <Button onClick={() => location.reload()}>Reload the page</Button>
      </div>
      <details className="mt-4 text-quiet">
        <summary className="cursor-pointer">More</summary>
        <p className="mt-1 break-words">{error instanceof Error ? error.message : String(error)}</p>
      </details>
    </div>
  )
}
