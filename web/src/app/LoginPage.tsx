import { useState } from 'react'
import { BASE } from '../api/base'
import { Button } from '../ui/Button'
import { Fleuron } from '../ui/Fleuron'
import { Wordmark } from '../ui/Wordmark'

/** The token in what was pasted, be it the whole link or the token alone. */
function tokenIn(pasted: string): string {
  const text = pasted.trim()
  return /[?&]token=([^&#\s]+)/.exec(text)?.[1] ?? encodeURIComponent(text)
}

export function LoginPage() {
  const [pasted, setPasted] = useState('')
  return (
    <main className="grid h-dvh place-items-center overflow-y-auto px-6 py-10">
      <div className="w-full max-w-md text-center">
        <h1>
          <Wordmark large />
        </h1>
        <Fleuron className="mx-auto my-7" />
        <p className="font-tale text-reading leading-relaxed text-quiet">
          Open the link that the server printed when it started. It works once, and lets this browser in.
        </p>
        <form
          className="mt-8 text-left"
          onSubmit={(event) => {
            event.preventDefault()
            if (pasted.trim() !== '') location.assign(`${BASE}/login?token=${tokenIn(pasted)}`)
          }}
        >
          <label htmlFor="token" className="mb-1.5 block text-label text-quiet">
            Or paste the link here
          </label>
          <div className="flex gap-2">
            <input
              id="token"
              value={pasted}
              onChange={(event) => setPasted(event.target.value)}
              autoComplete="off"
              spellCheck={false}
              className="min-w-0 flex-1 rounded-corner border border-edge bg-raised px-3 py-2"
            />
            <Button type="submit" weight="strong" disabled={pasted.trim() === ''}>
              Enter
            </Button>
          </div>
        </form>
        <p className="mt-6 text-left text-label leading-relaxed text-faint">
          The link is used up, or scrolled away? On the machine where Talekeeper runs,{' '}
          <code className="font-code text-code text-quiet">talekeeper login-link</code> prints a new one.
        </p>
      </div>
    </main>
  )
}
