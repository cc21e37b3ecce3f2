import { Button } from './Button'

interface ListFailedProps {
  words: string
  problem: string | undefined
  onRetry: () => void
}

export function ListFailed({ words, problem, onRetry }: ListFailedProps) {
  return (
    <div role="alert" className="pt-4 text-quiet">
      <p className="mb-3">
        {words} {problem}
      </p>
      <Button onClick={onRetry}>Retry</Button>
    </div>
  )
}
