/** How long the trash keeps what is in it. */
import { useQuery } from '@tanstack/react-query'
import { api } from '../api/client'

const DAY = 86_400_000

/** The days that the server has set; 0: until somebody deletes it. Undefined until they are known. */
export function useTrashDays(): number | undefined {
  const { data } = useQuery({ queryKey: ['storage'], queryFn: api.storage })
  return data?.trash_days
}

export function leftInWords(deletedAt: number, days: number, now = Date.now()): string {
  if (days === 0) return 'kept until you delete it'
  const left = Math.max(0, Math.ceil((deletedAt + days * DAY - now) / DAY))
  if (left === 0) return 'goes today'
  return left === 1 ? 'one day left' : `${left} days left`
}
