import { Link } from '@tanstack/react-router'
import { Fleuron } from '../ui/Fleuron'
import { OpenRailButton } from './OpenRailButton'

export function NotFound() {
  return (
    <div className="grid flex-1 place-items-center px-6 text-center">
      <div className="absolute top-3 left-2">
        <OpenRailButton />
      </div>
      <div>
        <Fleuron className="mx-auto mb-6" />
        <h1 className="font-tale text-title">This page is not in the book.</h1>
        <p className="mt-3 text-quiet">
          The address leads nowhere, or to something that is not yours.{' '}
          <Link to="/" className="text-accent underline underline-offset-3">
            Go to your current conversation
          </Link>
          .
        </p>
      </div>
    </div>
  )
}
