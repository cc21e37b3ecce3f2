import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { counted } from '../ui/amounts'
import { Button } from '../ui/Button'
import { useArchiveBefore } from './useStorage'

const AGES = [
  { months: 1, words: 'a month' },
  { months: 3, words: 'three months' },
  { months: 6, words: 'half a year' },
  { months: 12, words: 'a year' },
] as const

/** The moment so many months before now. */
function monthsAgo(months: number): number {
  const then = new Date()
  then.setMonth(then.getMonth() - months)
  return then.getTime()
}

/** Puts away at once what nobody has touched for long. */
export function ArchivingOld() {
  const [months, setMonths] = useState<number>(6)
  const archive = useArchiveBefore()
  return (
    <section>
      <h2 className="font-tale text-title">Put the old away</h2>
      <p className="mt-1.5 text-quiet">
        What is archived leaves the lists and nothing else: it is read and found as before, and comes back
        when something is said in it. Pinned conversations and the current one stay.
      </p>
      <div className="mt-4 flex flex-wrap items-center gap-2.5">
        <label className="flex items-center gap-2.5 text-label text-quiet">
          Untouched for
          <select
            value={months}
            onChange={(event) => setMonths(Number(event.target.value))}
            className="rounded-corner border border-edge bg-raised px-2.5 py-1.5 text-ink pointer-coarse:min-h-11"
          >
            {AGES.map((age) => (
              <option key={age.months} value={age.months}>
                {age.words}
              </option>
            ))}
          </select>
        </label>
        <Button
          disabled={archive.isPending}
          className="pointer-coarse:min-h-11"
          onClick={() => archive.mutate(monthsAgo(months))}
        >
          {archive.isPending ? 'Archiving…' : 'Archive'}
        </Button>
      </div>
      <p role="status" className="mt-2 text-label text-quiet">
        {archive.isError && `Not archived. ${archive.error.message}`}
        {archive.isSuccess &&
          (archive.data.count === 0 ? (
            'None is that old.'
          ) : (
            <>
              {counted(archive.data.count, 'conversation')} archived. They are in{' '}
              <Link to="/archive" className="text-accent underline decoration-1 underline-offset-3">
                the archive
              </Link>
              .
            </>
          ))}
      </p>
    </section>
  )
}
