import type { ErrorComponentProps } from '@tanstack/react-router'
import { CannotBeShown } from '../ui/CannotBeShown'
import { OpenRailButton } from './OpenRailButton'

/** A page that broke. The rail stands beside it as before. */
export function PageFailed({ error, reset }: ErrorComponentProps) {
  return (
    <div className="grid flex-1 place-items-center">
      <div className="absolute top-3 left-2">
        <OpenRailButton />
      </div>
      <CannotBeShown what="This page" error={error} onRetry={reset} />
    </div>
  )
}
