import { Button } from '../ui/Button'
import { RunningHead } from './RunningHead'

export function LoadingFailed({ problem, onRetry }: { problem: string; onRetry: () => void }) {
  return (
    <>
      <RunningHead title="" />
      <div role="alert" className="grid min-h-0 flex-1 place-items-center px-6 text-center">
        <div className="max-w-md">
          <h2 className="font-tale text-heading">The conversation could not be loaded.</h2>
          <p className="mt-2 mb-5 text-quiet">{problem} Nothing is lost: it lies on the server as it was.</p>
          <Button weight="strong" onClick={onRetry}>
            Retry
          </Button>
        </div>
      </div>
    </>
  )
}
