import { useQuery } from '@tanstack/react-query'
import { api } from '../api/client'

/** The account of this browser's session. */
export function useMe() {
  return useQuery({ queryKey: ['me'], queryFn: api.me, staleTime: Number.POSITIVE_INFINITY })
}
