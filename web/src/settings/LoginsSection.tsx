import { Button } from '../ui/Button'
import { LoginRow } from './LoginRow'
import { useLogins } from './useLogins'

/** The browsers, tokens and links that let somebody in as this account. */
export function LoginsSection() {
  const logins = useLogins()
  return (
    <section aria-labelledby="logins">
      <h2 id="logins" className="font-tale text-title">
        Devices and tokens
      </h2>
      <p className="mt-1.5 mb-5 text-quiet">
        Each of these lets somebody in as you. End what you do not recognise or no longer need.
      </p>
      {logins.isPending && (
        <div role="status" aria-label="Loading what is logged in" className="space-y-4">
          {[52, 61].map((width) => (
            <div key={width} className="skeleton h-5" style={{ width: `${width}%` }} />
          ))}
        </div>
      )}
      {logins.isError && (
        <div role="alert" className="text-quiet">
          <p className="mb-2">What is logged in could not be loaded. {logins.error.message}</p>
          <Button onClick={() => logins.refetch()}>Retry</Button>
        </div>
      )}
      {logins.data && (
        <ul className="border-b border-rule">
          {[...logins.data]
            .sort((a, b) => Number(b.is_current) - Number(a.is_current))
            .map((login) => (
              <LoginRow key={login.id} login={login} />
            ))}
        </ul>
      )}
    </section>
  )
}
