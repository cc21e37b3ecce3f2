import { useMutation } from '@tanstack/react-query'
import { BASE } from '../api/base'
import { api } from '../api/client'
import { Button } from '../ui/Button'

export function AccountSection({ name }: { name: string | null }) {
  const logout = useMutation({ mutationFn: api.logout, onSuccess: () => location.assign(`${BASE}/`) })
  return (
    <section aria-labelledby="account">
      <h2 id="account" className="mb-3 font-tale text-title">
        Account
      </h2>
      <div className="flex flex-wrap items-center justify-between gap-3">
        <p className="text-quiet">
          You are <span className="font-semibold text-ink">{name ?? '…'}</span> in this browser.
        </p>
        <Button onClick={() => logout.mutate()} disabled={logout.isPending}>
          Log out
        </Button>
      </div>
      <p role="status" className="mt-2 text-label text-faint">
        {logout.isError
          ? `Still logged in. ${logout.error.message}`
          : 'To come back you need a new link from the server. What you wrote stays there.'}
      </p>
    </section>
  )
}
